"""Neighbors: a match whose own nearest matches resemble the query, too, ranks before one that does by chance.

The similarity of each match is smoothed over its nearest ones among the best matches and the query. That is
database-side augmentation (Arandjelović and Zisserman, "Three things everyone should know to improve object retrieval",
2012) of similarities instead of vectors, and among what may come back only, so that nothing hidden has a say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from django.db import models
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from ...indexing import versions
from ...models import Signature
from ...signatures import storage
from ...signatures.base import Method, MethodSpec
from ...sources.source import ImageSource
from ..candidates import ScoredCandidate, ScoredResults, ranked_by_similarity
from ..query_vectors import QueryVector
from ..ranking import normalized_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

MAX_SMOOTHED = 50
"""Results that are ranked again, at most: some thousand pairs."""

NEIGHBORS = 5
"""Nearest images that have a say, beside the match itself."""

SHARPNESS = 6
"""Power of the similarity, 0 to 1, by which a neighbor weighs: at 80% it has a quarter of the say of the match."""

COPY_SHARPNESS = 12
"""Power of a match's own similarity, 0 to 1, by which it stays as it is: at 70% by a seventieth, at 100% entirely."""


def smooth_by_neighbors(
    source: ImageSource,
    query: models.Model | bytes | str,
    vectors: list[QueryVector],
    results: list[ScoredCandidate],
) -> ScoredResults:
    """Rank results again, with the similarity of each smoothed over its nearest ones; no image is read."""
    best = results[:MAX_SMOOTHED]
    ids = [scored.candidate.record_id for scored in best]
    among = _similarities_among(source, {vector.spec.name: vector.spec for vector in vectors}, ids)
    smoothed = smooth_similarities([scored.similarity for scored in best], among)
    again = [scored._replace(similarity=similarity) for scored, similarity in zip(best, smoothed, strict=True)]
    return ScoredResults([*ranked_by_similarity(again, is_complete=True), *results[MAX_SMOOTHED:]])


def _similarities_among(
    source: ImageSource, specs: Mapping[str, MethodSpec], record_ids: Sequence[int]
) -> NDArray[np.float64]:
    """Return how similar records are to each other by SIMILAR_IMAGES["RANKING"], in percent, (n, n).

    Their signatures are read once each, as a statement that compared all pairs would read each of them for every pair.
    """
    import numpy as np

    from ...signatures.distances import SignatureArray, similarities_from_distances

    ranking = normalized_weights()
    if not ranking.keys() <= specs.keys():
        specs = versions.active_versions(source) | dict(specs)
    by_ranking = storage.versions_condition(specs[name] for name in ranking)
    among = RawSQL("record_id = ANY(%s)", [list(record_ids)], output_field=BooleanField())  # in a third of the time
    rows = Signature.objects.filter(by_ranking, among, low_detail=False)
    place = {record_id: index for index, record_id in enumerate(record_ids)}
    described: dict[str, dict[int, Any]] = {name: {} for name in ranking}
    for name, record_id, *columns in rows.values_list("method", "record_id", *storage.quick_columns()):
        described[name][place[record_id]] = next(column for column in columns if column is not None)
    total, weights = np.zeros((2, len(place), len(place)))
    for name, values in described.items():
        if values:
            method = cast("Method", specs[name])
            signatures = SignatureArray(method, storage.unpack_all(method, [*values.values()]))
            distances = np.concatenate(list(signatures.distances(signatures)))
            pairs = np.ix_([*values], [*values])
            total[pairs] += ranking[name] * similarities_from_distances(method, distances)
            weights[pairs] += ranking[name]
    return total / np.maximum(weights, 1e-9)


def smooth_similarities(similarities: Sequence[float], among: ArrayLike) -> list[float]:
    """Return the weighted mean of each match's similarity to the query and that of its nearest neighbors.

    The query is a neighbor as well, whose similarity to itself is 100: so a match that has the query among its nearest
    gains by it. An exact copy keeps its 100%.

    Args:
        similarities: similarity of n matches to the query, in percent.
        among: similarity of each match to each, in percent, (n, n); that of a match to itself does not count.
    """
    import numpy as np

    own = np.asarray(similarities, np.float64)
    among = np.where(np.eye(len(own), dtype=bool), 0, among)
    near = np.column_stack([own, among])
    values = np.broadcast_to([100, *own], near.shape)
    nearest = np.lexsort((values, near))[:, -NEIGHBORS:]
    weights = (np.take_along_axis(near, nearest, axis=1) / 100) ** SHARPNESS
    weighted = weights * np.take_along_axis(values, nearest, axis=1)
    mean = (own + weighted.sum(axis=1)) / (1 + weights.sum(axis=1))
    kept = (own / 100) ** COPY_SHARPNESS
    smoothed: list[float] = (kept * own + (1 - kept) * mean).tolist()
    return smoothed
