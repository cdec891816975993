"""Re-ranking: search results ranked again, by comparing the images themselves or their neighbors."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from django.db import models

from ...sources.source import ImageSource
from ..candidates import ScoredCandidate, ScoredResults
from ..query_vectors import QueryVector
from . import copies, keypoints, neighbors, verifier


class Reranker(NamedTuple):
    """A way to rank results again: how many `candidates` it takes, and the function that does it."""

    candidates: int
    rerank: Callable[[ImageSource, models.Model | bytes | str, list[QueryVector], list[ScoredCandidate]], ScoredResults]


RERANKERS = {
    "copy": Reranker(copies.COPY_CANDIDATES, copies.verify_copies),
    "keypoints": Reranker(keypoints.MAX_RERANKED, keypoints.boost_by_keypoints),
    "neighbors": Reranker(neighbors.MAX_SMOOTHED, neighbors.smooth_by_neighbors),
    "verifier": Reranker(verifier.MAX_JUDGED, verifier.rank_by_verifier),
}
