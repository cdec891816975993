"""The worst misses of an assessment: what came first instead of what should have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import conf
from ..imaging.decode import UnreadableImage
from ..search.ranking import Ranking
from ..signatures.distances import SignatureArray, rank_by_distance
from .assessment import SHOWN, Assessment, score_retrieval
from .description import DescribedSet, decode_image
from .neighbor_reranking import similarities_by_ranking
from .retrieval import Retrieval
from .robustness import Robustness
from .transforms import TRANSFORMS, Pixels

MAX_MISSES = 8
"""Misses that are shown, at most."""

MAX_MISSES_OF_GROUP = 2
"""Misses of one label, or of one way of editing, that are shown at most, so that not all are of one kind."""


@dataclass(frozen=True)
class FoundImage:
    """A result: the index of the image, its similarity in percent, and whether it is right."""

    index: int
    similarity: float
    is_right: bool


@dataclass(frozen=True)
class AssessedMiss:
    """A query whose first results are wrong.

    Attributes:
        index: index of the image that was searched with.
        group: its label, or how it was edited.
        copy: pixels of the edited copy that was searched with instead, or None.
        found: the first SHOWN results.
        missed: index of the right image that ranked best, and its `rank`.
    """

    index: int
    group: str
    copy: Pixels | None
    found: list[FoundImage]
    missed: int
    rank: int


def find_worst_misses(assessment: Assessment, ranking: Ranking) -> list[AssessedMiss]:
    """Return the queries of the present setting whose right results rank last, the worst first.

    Args:
        assessment: the assessment.
        ranking: the weights of the present setting.
    """
    described = assessment.described
    if assessment.retrieval is not None:
        return _retrieval_misses(described, assessment.label, assessment.retrieval, ranking)
    if assessment.robustness is not None:
        return _copy_misses(described, assessment.robustness, ranking)
    return []


def _retrieval_misses(
    described: DescribedSet, label: str, retrieval: Retrieval, ranking: Ranking
) -> list[AssessedMiss]:
    labels = [image.labels[label] for image in described.images]
    scores = score_retrieval(retrieval)
    order = np.lexsort((-retrieval.rank, scores))
    groups = [labels[query] for query in retrieval.queries.tolist()]
    misses = []
    for i in _select_varied(order[scores[order] < 1].tolist(), groups):
        query = int(retrieval.queries[i])
        queries = {name: described.signatures[name].take(np.array([query])) for name in ranking}
        found = [
            FoundImage(index, similarity, labels[index] == labels[query])
            for index, similarity in _find_first(described, ranking, queries, query)
        ]
        misses.append(AssessedMiss(query, groups[i], None, found, int(retrieval.best[i]), int(retrieval.rank[i])))
    return misses


def _copy_misses(described: DescribedSet, robustness: Robustness, ranking: Ranking) -> list[AssessedMiss]:
    ranks = robustness.rank.ravel()
    places = [np.unravel_index(i, robustness.rank.shape) for i in range(len(ranks))]
    edits = list(TRANSFORMS)
    order = np.argsort(-ranks, kind="stable")
    misses = []
    for i in _select_varied(order[ranks[order] > 1].tolist(), [edits[int(place[1])] for place in places]):
        number, edit, strength = (int(part) for part in places[i])
        original = int(robustness.queries[number])
        try:
            pixels = decode_image(described.images[original], conf.get().max_pixels)
        except (UnreadableImage, OSError):
            continue
        copy = list(TRANSFORMS[edits[edit]](pixels))[strength]
        methods = {name: described.signatures[name].method for name in ranking}
        queries = {name: SignatureArray(method, [method.compute(copy)]) for name, method in methods.items()}
        found = [
            FoundImage(index, similarity, index == original)
            for index, similarity in _find_first(described, ranking, queries, None)
        ]
        misses.append(AssessedMiss(original, edits[edit], copy, found, original, int(ranks[i])))
    return misses


def _select_varied(candidates: Iterable[int], groups: list[str]) -> list[int]:
    """Return the first MAX_MISSES candidates, at most MAX_MISSES_OF_GROUP of a group."""
    selected: list[int] = []
    counts: Counter[str] = Counter()
    for index in candidates:
        if len(selected) < MAX_MISSES and counts[groups[index]] < MAX_MISSES_OF_GROUP:
            counts[groups[index]] += 1
            selected.append(index)
    return selected


def _find_first(
    described: DescribedSet, ranking: Ranking, query: dict[str, SignatureArray], excluded: int | None
) -> list[tuple[int, float]]:
    """Return the indices of the first SHOWN results for one query, and their similarities in percent."""
    keys: NDArray[np.floating[Any]] = np.concatenate(list(rank_by_distance(ranking, query, described.signatures)))[0]
    if excluded is not None:
        keys[excluded] = np.inf
    first = np.argsort(keys, kind="stable")[:SHOWN]
    first = first[np.isfinite(keys[first])]
    similarities = similarities_by_ranking(ranking, keys[first], described.signatures)
    return [(int(index), float(similarity)) for index, similarity in zip(first, similarities, strict=True)]
