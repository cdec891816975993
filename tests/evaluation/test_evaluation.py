"""The arithmetic of the evaluation: against counting by hand, all orders of ties, and pgvector itself."""

from __future__ import annotations

from itertools import pairwise, permutations
from pathlib import Path
from statistics import fmean
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from django.db.models.expressions import RawSQL
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from similar_images import registry
from similar_images.evaluation import report
from similar_images.evaluation.description import describe_images
from similar_images.evaluation.labeled_images import LabeledImage, read_folder, sample_indices
from similar_images.evaluation.retrieval import CUTOFFS, METRICS, query_indices, ranking_metrics, retrieve
from similar_images.evaluation.robustness import evaluate_robustness
from similar_images.evaluation.transforms import TRANSFORMS, ImageTransform
from similar_images.models import IndexedImage, Signature, Source
from similar_images.search import query_vectors
from similar_images.signatures import storage as vectors
from similar_images.signatures.base import Method, Metric, StorageType
from similar_images.signatures.color import Color
from similar_images.signatures.distances import BLOCK, SignatureArray, rank_by_distance, similarities_from_distances
from similar_images.signatures.embedding import Embedding
from similar_images.signatures.layout import Tiny, Wavelet
from similar_images.signatures.storage import unpack
from tests import drawing
from tests.datasets import DATASETS, needs
from tests.methods import Bits, Mean
from tests.testapp.models import Picture

IMAGES_PER_SET = 60
"""Of every labeled set, for the comparison of the methods."""


def by_counting(order: tuple[int, ...], relevant: list[bool]) -> list[float]:
    """Compute the METRICS of one order from their definitions."""
    hits = [relevant[place] for place in order]
    total = sum(hits)
    precisions = [sum(hits[: i + 1]) / (i + 1) for i, hit in enumerate(hits) if hit]
    return [
        sum(precisions) / total,
        *(sum(hits[:k]) / k for k in CUTOFFS),
        *(sum(hits[:k]) / total for k in CUTOFFS),
    ]


def test_ranking_metrics__by_hand() -> None:
    values = ranking_metrics(np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]), np.array([[1, 0, 1, 0, 0, 1]], bool))
    metrics = dict(zip(METRICS, values[0].tolist(), strict=True))
    assert metrics == pytest.approx(
        {
            "mAP": (1 + 2 / 3 + 3 / 6) / 3,
            "precision@1": 1,
            "precision@5": 2 / 5,
            "precision@10": 3 / 10,
            "recall@1": 1 / 3,
            "recall@5": 2 / 3,
            "recall@10": 1,
        }
    )


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6))
@hypothesis_settings(max_examples=60, deadline=None)
def test_ranking_metrics__are_means_over_all_orders_of_ties(results: list[tuple[int, bool]]) -> None:
    distances, relevant = [distance for distance, _ in results], [hit for _, hit in results]
    if not any(relevant):
        relevant[0] = True
    orders = [
        order
        for order in permutations(range(len(results)))
        if all(distances[a] <= distances[b] for a, b in pairwise(order))
    ]
    expected = np.mean([by_counting(order, relevant) for order in orders], axis=0)
    np.testing.assert_allclose(ranking_metrics(np.array([distances], float), np.array([relevant]))[0], expected)


def mean_signatures(levels: list[float]) -> SignatureArray:
    return SignatureArray(Mean(), [np.full(3, level, np.float32) for level in levels])


def test_retrieve__excludes_the_query_and_empty_labels() -> None:
    found = retrieve({"mean": 1}, {"mean": mean_signatures([0, 1, 3, 7, 8])}, ["a", "b", "a", "", "b"])
    assert list(found.queries) == [0, 1, 2, 4]
    assert list(found.values[:, 0]) == [1 / 2, 1 / 4, 1 / 2, 1 / 3]
    assert list(found.first) == [1, 0, 1, 3]
    assert list(found.best) == [2, 4, 0, 1]
    assert list(found.rank) == [2, 4, 2, 3]
    assert found.means["recall@1"] == 0
    assert found.means["recall@5"] == 1


def test_retrieve__without_weights_gives_the_metrics_of_chance() -> None:
    labels = ["a", "a", "b", "b", "c"]
    found = retrieve({}, {"mean": mean_signatures([0, 1, 2, 3, 4])}, labels)
    assert found.means["mAP"] == pytest.approx(fmean(1 / rank for rank in (1, 2, 3, 4)))
    assert found.means["precision@1"] == pytest.approx(1 / 4)


def test_retrieve__in_blocks_equals_one_matrix() -> None:
    rng = np.random.default_rng(0)
    count = BLOCK + 40
    signatures = {"mean": SignatureArray(Mean(), list(rng.random((count, 3), np.float32)))}
    labels = [str(i % 7) for i in range(count)]
    found = retrieve({"mean": 1}, signatures, labels)
    distances = np.concatenate(list(signatures["mean"].distances(signatures["mean"])))
    np.fill_diagonal(distances, np.inf)
    relevant = np.array([[a == b for b in labels] for a in labels]) & ~np.eye(count, dtype=bool)
    np.testing.assert_allclose(found.values, ranking_metrics(distances, relevant))


def test_query_indices__share_their_label() -> None:
    assert list(query_indices(["a", "b", "", "a", ""])) == [0, 3]


class AnyMethod(Method):
    """A method of any storage and metric."""

    name = "any"
    version = "1"
    curve = ((0, 100), (1, 0.0))

    def __init__(self, storage: StorageType, metric: Metric, dimensions: int) -> None:
        self.storage = storage
        self.metric = metric
        self._dimensions = dimensions

    @property
    def dimensions(self) -> int:
        return self._dimensions

    def compute(self, pixels: NDArray[np.uint8]) -> Any:
        raise AssertionError("no signature is computed here")


def random_values(storage: str) -> list[Any]:
    rng = np.random.default_rng(1)
    if storage == "sparsevec":
        return [{int(place): float(rng.random()) for place in rng.choice(1000, 30, replace=False)} for _ in range(6)]
    if storage == "bit":
        return [rng.random(40) < share for share in (0.1, 0.3, 0.5, 0.7, 0.9)] + [np.zeros(40, bool)]
    return [(rng.normal(size=40) * scale).astype(np.float32) for scale in (0.01, 1, 1, 1, 30)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("storage", "metric"), [(name, metric) for name, kind in vectors.VECTOR_TYPES.items() for metric in kind.distances]
)
def test_distances__equal_those_of_pgvector(storage: StorageType, metric: Metric) -> None:
    values = random_values(storage)
    method = AnyMethod(storage, metric, 1000 if storage == "sparsevec" else 40)
    source = Source.objects.get_id(registry.get_source(Picture, "image"))
    column = vectors.column_name(method)
    for number, value in enumerate(values):
        record = IndexedImage.objects.create(source_id=source, object_id=str(number))
        packed = {column: vectors.pack(method, value)}
        Signature.objects.create(record=record, source_id=source, method="any", version="1", **packed)
    rows = Signature.objects.order_by("record_id")
    texts = [query_vectors.literal(vectors.pack(method, value)) for value in values]
    distance = vectors.distance_sql(method, column, "%s")
    expected = [list(rows.values_list(RawSQL(distance, [text]), flat=True)) for text in texts]  # noqa: S611 - SQL by the app itself; the text goes as a parameter
    stored = [unpack(value) for value in rows.values_list(column, flat=True)]
    for signatures in (SignatureArray(method, values), SignatureArray(method, stored)):
        (distances,) = signatures.distances(signatures)
        np.testing.assert_allclose(distances, expected, rtol=1e-4, atol=1e-5)


def test_distances__are_infinite_without_a_cosine() -> None:
    signatures = SignatureArray(AnyMethod("halfvec", "cosine", 2), [np.zeros(2, np.float32), np.ones(2, np.float32)])
    (distances,) = signatures.distances(signatures)
    assert np.isinf(distances[0]).all()
    assert distances[1, 1] == pytest.approx(0, abs=1e-6)


def test_bytes_each__for_every_storage() -> None:
    assert mean_signatures([0]).mean_bytes() == 8 + 2 * 3
    assert SignatureArray(Bits(), [np.zeros(64, bool)]).mean_bytes() == 8 + 8
    assert SignatureArray(Wavelet(), [{1: 1.0}, {1: 1.0, 5: 1.0, 7: 2.0}]).mean_bytes() == 16 + 8 * 2


def test_similarities__equal_those_of_the_method() -> None:
    method = Color()
    distances = np.linspace(0, 2.5, 40, dtype=np.float32)
    np.testing.assert_allclose(
        similarities_from_distances(method, distances), [method.similarity(float(distance)) for distance in distances]
    )


def test_rank_by_distance__blends_similarities_like_a_search() -> None:
    rng = np.random.default_rng(2)
    base = {
        "mean": SignatureArray(Mean(), list(rng.random((5, 3), np.float32))),
        "bits": SignatureArray(Bits(), list(rng.random((5, 64)) < 0.5)),
    }
    (distances,) = rank_by_distance({"mean": 3, "bits": 1}, base, base)
    (mean,), (bits,) = (signatures.distances(signatures) for signatures in base.values())
    expected = [
        [(3 * Mean().similarity(a) + Bits().similarity(b)) / 4 for a, b in zip(*pair, strict=True)]
        for pair in zip(mean, bits, strict=True)
    ]
    np.testing.assert_allclose(100 - distances, expected)


PHOTO = cv2.resize(skimage.data.chelsea(), (320, 240), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_transform__returns_the_same_valid_pixels(transform: ImageTransform) -> None:
    for pixels in (PHOTO, PHOTO[:1, :1], PHOTO[:2, :90], PHOTO[:90, :1]):
        before = pixels.copy()
        first, again = list(transform(pixels)), list(transform(pixels))
        assert len(first) == 3
        for a, b in zip(first, again, strict=True):
            assert a.dtype == np.uint8
            assert a.ndim == 3
            assert a.shape[2] == 3
            assert a.size
            assert a.flags.c_contiguous
            assert np.array_equal(a, b)
        assert np.array_equal(pixels, before)
    assert all(not np.array_equal(copy, PHOTO) for copy in transform(PHOTO))


@pytest.mark.parametrize("name", sorted(TRANSFORMS.keys() - {"mirror", "turn"}))
def test_transform__changes_more_at_higher_strength(name: str) -> None:
    def change(copy: NDArray[np.uint8]) -> float:
        small = cv2.resize(copy, PHOTO.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return float(np.abs(small.astype(float) - PHOTO).mean())

    mild, middle, strong = map(change, TRANSFORMS[name](PHOTO))
    assert 0 < mild < middle < strong


def test_turn__keeps_shape_and_pixels() -> None:
    little, quarter, half = TRANSFORMS["turn"](PHOTO)
    assert little.shape == PHOTO.shape
    assert np.array_equal(quarter, np.rot90(PHOTO))
    assert np.array_equal(half, PHOTO[::-1, ::-1])


def test_evaluate_robustness__finds_originals() -> None:
    scenes = [np.array(drawing.scene(seed)) for seed in range(6)]
    tiny = Tiny()
    base = {"tiny": SignatureArray(tiny, [tiny.compute(scene) for scene in scenes])}
    found = evaluate_robustness({"tiny": {"tiny": 1}}, base, ((place, scenes[place]) for place in (1, 4)))["tiny"]
    assert list(found.queries) == [1, 4]
    assert found.values.shape == (2, 15, 3, 2)
    kind = list(TRANSFORMS).index("JPEG")
    assert (found.values[:, kind] == 1).all()
    assert (found.first[:, kind] == np.array([[1], [4]])).all()
    assert (found.rank[:, kind] == 1).all()
    mirrored = list(TRANSFORMS).index("mirror")
    np.testing.assert_allclose(found.values[:, mirrored, :, 0], 1 / found.rank[:, mirrored])
    assert evaluate_robustness({"tiny": {"tiny": 1}}, base, []) == {}


def test_describe_images__skips_unreadable_images(tmp_path: Path) -> None:
    good = drawing.encoded(drawing.scene(1))
    items = [
        LabeledImage("good", lambda: good),
        LabeledImage("broken", lambda: good[:100]),
        LabeledImage("gone", (tmp_path / "gone").read_bytes),
        LabeledImage("also good", lambda: good),
    ]
    threads = cv2.getNumThreads()
    described = describe_images(items, {"mean": Mean(), "bits": Bits()}, max_pixels=10**6)
    assert [item.name for item in described.images] == ["good", "also good"]
    assert described.unreadable.keys() == {"broken", "gone"}
    assert described.signatures["bits"].count == 2
    assert described.milliseconds["mean"] > 0
    assert cv2.getNumThreads() == threads


def test_sample_indices__are_repeatable() -> None:
    assert sample_indices(5, None) == sample_indices(5, 9) == [0, 1, 2, 3, 4]
    assert sample_indices(100, 10) == sample_indices(100, 10) == sorted(set(sample_indices(100, 10)))
    assert sample_indices(3, 0) == []


def test_write_markdown__replaces_text_between_markers(tmp_path: Path) -> None:
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    start, end = report.MARKDOWN_MARKERS
    page.write_text(f"# Title\n{start}\nold\n{end}\nend\n")
    for _ in range(2):
        report.write_markdown(page, "new\n")
        report.write_markdown(other, "new\n")
    assert page.read_text() == f"# Title\n{start}\nnew\n{end}\nend\n"
    assert other.read_text() == "new\n"


@needs(DATASETS)
def test_methods__rank_as_expected_on_labeled_sets() -> None:
    """On a share of every labeled set: chance, then the tiny picture, then color, wavelets and the network."""
    methods: dict[str, Method] = {m.name: m for m in (Embedding(), Color(), Wavelet(), Tiny())}
    by_class: dict[str, dict[str, float]] = {}
    means: dict[str, list[float]] = {name: [] for name in (*methods, "random")}
    for name in ("clothing", "corel", "emoji", "furniture", "grocery"):
        items = read_folder(DATASETS / name)
        step = -(-len(items) // IMAGES_PER_SET)
        # Every so many groups, as whole ones, or else every so many pictures of every class.
        groups = set(sorted({item.labels["group"] for item in items})[::step])
        items = [item for item in items if item.labels["group"] in groups] if len(groups) > 1 else items[::step]
        signatures = describe_images(items, methods, max_pixels=10**7).signatures
        for label in ("group", "class"):
            labels = [item.labels[label] for item in items]
            if not len(query_indices(labels)):
                continue
            rankings = {name: {name: 1.0} for name in methods} | {"random": {}}
            found = {ranking: retrieve(by, signatures, labels).means["mAP"] for ranking, by in rankings.items()}
            for ranking, value in found.items():
                means[ranking].append(value)
            if label == "class":
                by_class[name] = found
    mean = {name: fmean(values) for name, values in means.items()}
    assert mean["tiny"] > 1.5 * mean["random"]
    assert mean["color"] > mean["tiny"]
    assert mean["wavelet"] > mean["tiny"]
    for name, found in by_class.items():
        assert max(found, key=lambda ranking: found[ranking]) == "embedding", name
