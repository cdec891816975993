"""What is stored of pictures, between two at hand: every signature method is a measure, too."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.utils.functional import lazy
from django.utils.translation import gettext, gettext_lazy

from ..signatures import storage
from ..signatures.base import Method
from .base import ComparisonImage, Measure, MeasureResult, Unavailable


def _title(name: str) -> str:
    return gettext("Signature: %(name)s") % {"name": name}


class BySignature(Measure):
    """The distance of the two pictures' signatures by one method, rounded as if they were stored."""

    meaning = gettext_lazy("How far apart the stored signatures of two such pictures are.")
    best = 0.0

    def __init__(self, method: Method) -> None:
        self.method = method
        self.name = method.name
        self.curve = method.curve
        self.title = lazy(_title, str)(method.name)
        # Angles and bits have a bound, sums have none.
        self.worst = {"cosine": 2.0, "jaccard": 1.0}.get(method.metric, float("inf"))
        if method.metric == "hamming":
            self.worst = float(method.dimensions)

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        from ..signatures.distances import SignatureArray

        values = [view.once(self.method, partial(self.method.compute, view.decoded)) for view in (a, b)]
        details: dict[str, Any] = {"version": self.method.version, "metric": self.method.metric}
        if any(self.method.has_low_detail(value) for value in values):
            details["low_detail"] = True
        rounded = [storage.unpack(storage.pack(self.method, value)) for value in values]
        if self.method.refines:
            distance = self.method.refine(rounded[0], rounded[1:])[0]
        else:
            query, other = (SignatureArray(self.method, [value]) for value in rounded)
            distance = float(next(other.distances(query))[0, 0])
        return MeasureResult(distance, details)

    def similarity(self, reading: MeasureResult) -> float:
        """As of a match. Pictures that show next to nothing are nobody's match, but for the same nothing."""
        if reading.details.get("low_detail") and reading.value > 0:
            return 0.0
        return self.method.similarity(reading.value)


class MissingMethod(Measure):
    """A signature method that this installation lacks something for."""

    meaning = BySignature.meaning
    best, worst = 0.0, float("inf")
    curve = ((0, 100), (1, 0))

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.title = lazy(_title, str)(name)
        self.reason = reason

    def check(self) -> list[str]:
        return [self.reason]

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        raise Unavailable(self.reason)
