"""Pairs of images of which it is known whether they are similar: by editors' marks, or by labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..duplicates.graphs import connected_components
from ..search.ranking import Ranking
from ..signatures.distances import rank_by_distance
from .description import DescribedSet
from .labeled_images import sample_indices
from .neighbor_reranking import similarities_by_ranking
from .reliability import FOLDS

MAX_LABELED = 1_000
"""Images with labels of which all pairs are compared."""

MAX_JUDGED_MARKS = 1_000
"""Marks that are compared, the last ones."""


@dataclass(frozen=True)
class JudgedPairs:
    """Similarities of pairs in percent, whether each is similar, and number of what it is a part of, (n,) each.

    `units` is −1 where a pair is of several parts.
    """

    percents: NDArray[np.float64]
    is_similar: NDArray[np.bool_]
    units: NDArray[np.intp]


def pairs_by_marks(described: DescribedSet, ranking: Ranking, marks: Sequence[tuple[str, str, bool]]) -> JudgedPairs:
    """Return the pairs that editors have marked; those that marks connect are of one part."""
    places = {image.object_id: index for index, image in enumerate(described.images)}
    known = [mark for mark in marks if mark[0] in places and mark[1] in places][-MAX_JUDGED_MARKS:]
    groups = connected_components([(a, b) for a, b, _is_alike in known])
    group_of = {object_id: number for number, group in enumerate(groups) for object_id in group}
    chosen = sorted({places[object_id] for a, b, _is_alike in known for object_id in (a, b)})
    rows = {index: row for row, index in enumerate(chosen)}
    percents = _percents_among(described, ranking, chosen)
    return JudgedPairs(
        np.array([percents[rows[places[a]], rows[places[b]]] for a, b, _is_alike in known], float),
        np.array([is_alike for *_pair, is_alike in known], bool),
        np.array([group_of[a] for a, *_rest in known], np.intp),
    )


def pairs_by_label(described: DescribedSet, ranking: Ranking, label: str) -> JudgedPairs:
    """Return all pairs of images with a label; each image is in one of FOLDS parts by chance."""
    labeled = [index for index, image in enumerate(described.images) if image.labels[label]]
    chosen = [labeled[index] for index in sample_indices(len(labeled), MAX_LABELED)]
    names = np.array([described.images[index].labels[label] for index in chosen])
    parts = np.random.default_rng(0).permutation(len(chosen)) % FOLDS
    rows, columns = np.triu_indices(len(chosen), 1)
    return JudgedPairs(
        _percents_among(described, ranking, chosen)[rows, columns],
        names[rows] == names[columns],
        np.where(parts[rows] == parts[columns], parts[rows], -1),
    )


def _percents_among(described: DescribedSet, ranking: Ranking, indices: Iterable[int]) -> NDArray[np.float64]:
    """Return how similar images are to each other by a ranking, in percent, (n, n)."""
    chosen = np.array([*indices], np.intp)
    if not len(chosen):
        return np.zeros((0, 0))
    signatures = {name: described.signatures[name].take(chosen) for name in ranking}
    keys = np.concatenate(list(rank_by_distance(ranking, signatures, signatures)))
    return np.asarray(similarities_by_ranking(ranking, keys, signatures), np.float64)
