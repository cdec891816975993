"""Every signature method as a measure: the distance between the signatures of two images at hand."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.utils.functional import Promise, lazy
from django.utils.translation import gettext, gettext_lazy

from ..signatures import storage
from ..signatures.base import Method
from .base import ComparisonImage, Measure, MeasureResult, Unavailable


def _signature_title(name: str | Promise) -> str:
    return gettext("Signature: %(name)s") % {"name": name}


class BySignature(Measure):
    """The distance between two images' signatures by one method, rounded as if they were stored."""

    meaning = gettext_lazy("Distance between the two images' signatures.")
    best = 0.0

    def __init__(self, method: Method) -> None:
        self.method = method
        self.name = method.name
        self.curve = method.curve
        self.title = lazy(_signature_title, str)(method.title or method.name)
        # Cosine, Jaccard and Hamming distances are bounded, sums of differences are not.
        self.worst = {"cosine": 2.0, "jaccard": 1.0}.get(method.metric, float("inf"))
        if method.metric == "hamming":
            self.worst = float(method.dimensions)

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Compute both signatures, once per image, and their distance."""
        from ..signatures.distances import SignatureArray

        values = [image.cached(self.method, partial(self.method.compute, image.original_pixels)) for image in (a, b)]
        details: dict[str, Any] = {"version": self.method.version, "metric": self.method.metric}
        if any(self.method.has_low_detail(value) for value in values):
            details["low_detail"] = True
        stored = [storage.unpack(storage.pack(self.method, value)) for value in values]
        if self.method.refines:
            distance = self.method.refine(stored[0], stored[1:])[0]
        else:
            first, second = (SignatureArray(self.method, [value]) for value in stored)
            distance = float(next(second.distances(first))[0, 0])
        return MeasureResult(distance, details)

    def similarity(self, result: MeasureResult) -> float:
        """Convert to percent as a search does; an image with low detail is similar only to an identical one."""
        if result.details.get("low_detail") and result.value > 0:
            return 0.0
        return self.method.similarity(result.value)


class MissingMethod(Measure):
    """A signature method that the installation lacks a package for."""

    meaning = BySignature.meaning
    best, worst = 0.0, float("inf")
    curve = ((0, 100), (1, 0))

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.title = lazy(_signature_title, str)(name)
        self.reason = reason

    def check(self) -> list[str]:
        """Return the reason."""
        return [self.reason]

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Raise Unavailable."""
        raise Unavailable(self.reason)
