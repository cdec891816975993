"""Verifier: a function of the site, such as a learned network, says of each match how surely it is a right one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import models

from ... import access, conf
from ...imaging import decode
from ...sources.source import ImageSource
from ..candidates import ScoredCandidate, ScoredResults, ranked_by_similarity
from ..query_vectors import QueryVector
from .image_pairs import compare_candidates

if TYPE_CHECKING:
    from ...measures.base import ComparisonImage

logger = logging.getLogger(__name__)

MAX_JUDGED = 50
"""Results that are judged, at most."""

VERIFIER_SIDE = 512
"""Pixels on the long side of the images that are judged, at most."""


class VerifierFailed(Exception):
    """The verifier raised an error, or returned what is no number from 0 to 1."""


def rank_by_verifier(
    source: ImageSource,
    query: models.Model | bytes | str,
    vectors: list[QueryVector],
    results: list[ScoredCandidate],
) -> ScoredResults:
    """Rank results again, with the similarity that SIMILAR_IMAGES["VERIFIER"] gives to each, in percent.

    Images that can't be read keep their similarity. Where the verifier fails, or time runs out, all do: what it says of
    some images can't be ranked among what signatures say of others.
    """
    verify = conf.get().verifier
    if isinstance(query, str) or verify is None:
        return ScoredResults(results)
    try:
        judge = partial(_judge, access.load_callable("VERIFIER", verify))
        judged = compare_candidates(source, query, results[:MAX_JUDGED], judge, long_side=VERIFIER_SIDE)
    except VerifierFailed as error:
        logger.error(
            "SIMILAR_IMAGES['VERIFIER'] failed; a search of %s keeps its order: %s", source.label, error, exc_info=error
        )
        return ranked_by_similarity(results, is_complete=False)
    if not judged.is_complete:
        return ranked_by_similarity(results, is_complete=False)
    again = [
        scored._replace(similarity=judged.get(scored.candidate.record_id, scored.similarity)) for scored in results
    ]
    return ranked_by_similarity(again, is_complete=True)


def _judge(verify: Callable[..., Any], a: ComparisonImage, b: ComparisonImage, scored: ScoredCandidate) -> float:
    """Return what the verifier says of two images, in percent; each call gets copies, which it may change."""
    try:
        probability = verify(a.pixels.copy(), b.pixels.copy())
        value = float(probability)
    except decode.INTERRUPTIONS:
        raise
    except Exception as error:  # whatever a function of the site raises, its visitors get an answer
        raise VerifierFailed(f"{type(error).__name__}: {error}") from error
    if not 0 <= value <= 1:
        raise VerifierFailed(f"it returned {probability!r:.80}, not a number from 0 to 1")
    return 100 * value
