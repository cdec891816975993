"""Explanations for visitors of how two images resemble each other, with the parts that match, in bounded time."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from django.http import HttpRequest

from .. import conf
from ..imaging import timeouts
from ..search.matches import search_among
from ..search.ranking import image_scores
from ..search.resemblance import Resemblance, describe_pair
from .results import ComparisonInput, open_input

if TYPE_CHECKING:
    from ..imaging.decode import Box
    from .compare import OpenedImage


@dataclass(frozen=True)
class ExplainedImage:
    """One of two images: width and height of its file, and the part of it that matches, if any does."""

    side: ComparisonInput
    width: int
    height: int
    box: Box | None


@dataclass(frozen=True)
class PairExplanation:
    """The resemblance of two images."""

    a: ExplainedImage
    b: ExplainedImage
    resemblance: Resemblance

    @property
    def sides(self) -> tuple[ExplainedImage, ExplainedImage]:
        """Both images."""
        return self.a, self.b


def explain_images(a: ComparisonInput, b: ComparisonInput, request: HttpRequest) -> PairExplanation:
    """Explain how two images resemble each other, by their signatures and their geometry.

    Args:
        a: an image.
        b: another.
        request: that of the visitor.

    Raises:
        Incomparable: one of the two can't be read.
        SearchTimeout: it took longer than SIMILAR_IMAGES["REQUEST_TIMEOUT"].
    """
    end = monotonic() + conf.get().request_timeout
    opened = open_input("a", a, end), open_input("b", b, end)
    scores = _stored_scores(a, b, request)
    resemblance = timeouts.run_for_request(max(end - monotonic(), 0), _describe_opened, *opened, scores)
    boxes = resemblance.query_box, resemblance.match_box
    image_a, image_b = (
        ExplainedImage(side, image.width, image.height, box)
        for side, (image, _digest), box in zip((a, b), opened, boxes, strict=True)
    )
    return PairExplanation(image_a, image_b, resemblance)


def _stored_scores(a: ComparisonInput, b: ComparisonInput, request: HttpRequest) -> dict[str, float]:
    """Return the scores of two stored images of one source, as a search has them; empty where it has none."""
    source = a.source
    if source is None or source != b.source:
        return {}
    objects = source.as_filterable(source.visible_to(request)).filter(pk=b.object.pk)
    results = search_among(source, a.object, objects, source.visible_owners(request), limit=1).run()
    return results[0].scores if results else {}


def _describe_opened(a: OpenedImage, b: OpenedImage, scores: dict[str, float]) -> Resemblance:
    """Describe two images by these scores, or by those that are computed of the images where there are none."""
    (image_a, digest_a), (image_b, digest_b) = a, b
    is_same_file = digest_a is not None and digest_a == digest_b
    if not scores and not is_same_file:
        scores = image_scores(image_a, image_b)
    return describe_pair(image_a, image_b, scores, is_same_file=is_same_file)
