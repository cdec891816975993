"""A copy finds what an exact search finds, once its index is built."""

from __future__ import annotations

import numpy as np

from similar_images.backends.base import Collection, SearchBackend, StoredVector

RECORDS, DIMENSIONS, QUERIES, CUTOFF = 3_000, 64, 40, 12


def test_recall__is_at_least_97_percent(milvus: SearchBackend) -> None:
    """Vectors lie in clusters, as those of images of similar objects do."""
    rng = np.random.default_rng(1)
    centers = rng.normal(size=(30, DIMENSIONS))
    vectors = (centers[np.arange(RECORDS) % 30] + 0.5 * rng.normal(size=(RECORDS, DIMENSIONS))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    collection = Collection("similar_images_recall", DIMENSIONS, "cosine")
    milvus.create(collection)
    for start in range(0, RECORDS, 500):
        numbers = range(start, start + 500)
        milvus.write(collection, [StoredVector(number, vectors[number]) for number in numbers])
    milvus.finish(collection)
    queries = vectors[:: RECORDS // QUERIES]
    found = milvus.find_nearest(collection, list(queries), CUTOFF)
    distances = 1 - queries @ vectors.T
    exact = np.argsort(distances, axis=1)[:, :CUTOFF]
    shares = [len({hit.record_id for hit in hits} & {*near.tolist()}) for hits, near in zip(found, exact, strict=True)]
    milvus.drop(collection)
    assert sum(shares) / (CUTOFF * len(shares)) >= 0.97
    for hits, own in zip(found, distances, strict=True):
        assert np.allclose([hit.distance for hit in hits], [own[hit.record_id] for hit in hits], atol=1e-4)
