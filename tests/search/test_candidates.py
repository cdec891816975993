"""Candidates: how many each method puts forward, how they are read, scored, filtered and sorted."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

import similar_images
from similar_images import registry
from similar_images.models import IndexedImage, Signature
from similar_images.search import candidates, query_vectors, sql
from similar_images.search.query_vectors import QueryVector
from similar_images.signatures.base import similarities_on_curve
from tests.items import save_gray
from tests.methods import PX, Bits, Mean, loaded
from tests.search.samples import knn_row, query_vector, record_ids, scored_candidate
from tests.testapp.models import Picture, Shelf

pytestmark = pytest.mark.django_db


class RefiningMean(Mean):
    """Have an exact distance: twice the stored one, in the order of the values."""

    refines = True

    def refine(self, query: Any, candidates: Any) -> list[float]:
        return [2 * float(abs(query - value).sum()) for value in candidates]


def source() -> Any:
    return registry.get_source(Picture)


# Which records may come back


@pytest.mark.usefixtures("mean_method")
def test_searchable_records__are_of_allowed_objects_and_not_excluded(index_now: Any) -> None:
    shelf = Shelf.objects.create()
    items = [
        save_gray(1, shelf=shelf),
        save_gray(2, shelf=shelf),
        save_gray(3),
        save_gray(4, published=False, shelf=shelf),
    ]
    visible, on_shelf = Picture.objects.filter(published=True), Picture.objects.filter(shelf=shelf)

    def titles(*args: Any) -> set[str]:
        records = candidates.searchable_records(source(), *args)
        return set(
            Picture.objects.filter(pk__in=[record.object_id for record in records]).values_list("title", flat=True)
        )

    assert titles([Picture.objects.all()], []) == {"1", "2", "3", "4"}
    assert titles([visible], []) == {"1", "2", "3"}
    assert titles([visible, on_shelf], []) == {"1", "2"}
    assert titles([visible, on_shelf], [items[0].pk]) == {"2"}
    similar_images.mark(items[0], items[1], alike=False)
    assert titles([visible], []) == {"1", "2", "3"}
    assert titles([visible], [], [items[0].pk]) == {"1", "3"}
    assert titles([visible], [items[2].pk], [items[1].pk]) == {"2"}


# How many


def pools(weights: dict[str, float], limit: int, *methods: Any) -> dict[str, int]:
    vectors = [query_vector(method, name) for name, method in zip(weights, methods or [None] * 9, strict=False)]
    return candidates.pool_sizes(vectors, weights, limit)


@pytest.mark.parametrize(
    ("limit", "size"),
    [(1, 21), (12, 32), (80, 100), (81, 101), (100, 120), (1000, 1020)],
)
def test_pool_sizes__of_one_method_are_the_limit_and_twenty(limit: int, size: int) -> None:
    assert pools({"mean": 1}, limit) == {"mean": size}
    assert pools({"mean": 0.3}, limit) == {"mean": size}


def test_pool_sizes__grow_with_the_share_of_other_methods() -> None:
    assert pools({"a": 63, "b": 1}, 12) == {"a": 32, "b": 0}  # a share of 1/64 would add 16
    assert pools({"a": 31, "b": 1}, 12) == {"a": 12 + 32, "b": 0}
    assert pools({"a": 15, "b": 1}, 12) == {"a": 12 + 63, "b": 0}
    assert pools({"a": 7, "b": 1}, 12)["a"] == 100
    assert pools({"a": 1, "b": 1}, 12) == {"a": 100, "b": 100}


def test_pool_sizes__are_a_hundred_or_four_times_the_limit_at_most() -> None:
    assert pools({"a": 1, "b": 1}, 25) == {"a": 100, "b": 100}
    assert pools({"a": 1, "b": 1}, 26) == {"a": 104, "b": 104}
    assert pools({"a": 1, "b": 1}, 100) == {"a": 400, "b": 400}
    assert pools({"a": 1, "b": 1}, 1000) == {"a": 1500, "b": 1500}


def test_pool_sizes__of_lighter_methods_shrink_with_the_square_of_their_weight() -> None:
    assert pools({"a": 2, "b": 1}, 12) == {"a": 100, "b": 25}
    assert pools({"a": 8, "b": 1}, 12) == {"a": 100, "b": 2}
    assert pools({"a": 11, "b": 1}, 12) == {"a": 96, "b": 0}
    assert pools({"a": 3, "b": 1, "c": 2}, 12) == {"a": 100, "b": 12, "c": 45}


def test_pool_sizes__of_methods_that_refine_are_as_large_as_may_be() -> None:
    assert pools({"mean": 1}, 12, RefiningMean()) == {"mean": 100}
    assert pools({"mean": 1}, 100, RefiningMean()) == {"mean": 400}
    vector = QueryVector(Mean(), partial(similarities_on_curve, Mean.curve))  # its method is no longer to be had
    assert candidates.pool_sizes([vector], {"mean": 1}, 12) == {"mean": 32}


# Reading


class StatementRecorder:
    """Records the arguments of `knn_sql`, the statements of a search."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[dict[str, int], set[str]]] = []
        real = sql.knn_sql

        def knn_sql(
            source_id: int, vectors: Any, records: Any, pools: Any, exact: Any, *, gathers: bool = False
        ) -> Any:
            self.calls.append((dict(pools), set(exact)))
            return real(source_id, vectors, records, pools, exact, gathers=gathers)

        monkeypatch.setattr(sql, "knn_sql", knn_sql)


def search(item: Picture, pool: int, limit: int, has_index: bool | None = None) -> list[str]:
    """Search by the method "mean"; return the titles of what is found."""
    vectors = query_vectors.stored_queries(source(), [item], ["mean"])[item]
    if has_index is not None:
        spec = vectors[0].spec
        names = ("name", "version", "storage", "metric", "dimensions", "curve")
        fake = SimpleNamespace(**{name: getattr(spec, name) for name in names}, has_index=has_index)
        vectors = [QueryVector(fake, vectors[0].similarities, record_id=vectors[0].record_id, method=vectors[0].method)]
    records = candidates.searchable_records(source(), [Picture.objects.all()], [item.pk])
    rows = candidates.search_candidates(source(), vectors, records, {"mean": pool}, limit)
    titles = {str(item.pk): item.title for item in Picture.objects.all()}
    return sorted(titles[row.object_id] for row in rows)


def test_search_candidates__without_an_index_scans_exactly_once(
    gray_pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then there is no point in less than the limit."""
    recorder = StatementRecorder(monkeypatch)
    assert search(gray_pictures[0], 2, 3, has_index=False) == ["101", "102", "103"]
    assert recorder.calls == [({"mean": 3}, {"mean"})]
    assert search(gray_pictures[0], 4, 3, has_index=False) == ["101", "102", "103", "104"]
    assert recorder.calls[1:] == [({"mean": 4}, {"mean"})]


def test_search_candidates__with_an_index_fetches_the_pool_first(
    gray_pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = StatementRecorder(monkeypatch)
    assert search(gray_pictures[0], 3, 3, has_index=True) == ["101", "102", "103"]
    assert recorder.calls == [({"mean": 3}, set())]
    assert search(gray_pictures[0], 4, 3, has_index=True) == ["101", "102", "103", "104"]
    assert recorder.calls[1:] == [({"mean": 4}, set())]


def test_search_candidates__fewer_than_the_limit_are_searched_again_for_as_many(
    gray_pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = StatementRecorder(monkeypatch)
    assert search(gray_pictures[0], 2, 3, has_index=True) == ["101", "102", "103"]
    assert recorder.calls == [({"mean": 2}, set()), ({"mean": 3}, set())]


def test_search_candidates__a_pool_that_is_left_short_is_searched_exactly(
    gray_pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are nine others, and ten are asked for."""
    recorder = StatementRecorder(monkeypatch)
    assert len(search(gray_pictures[0], 10, 3, has_index=True)) == 9
    assert recorder.calls == [({"mean": 10}, set()), ({"mean": 10}, {"mean"})]
    assert len(search(gray_pictures[0], 9, 3, has_index=True)) == 9
    assert recorder.calls[2:] == [({"mean": 9}, set())]


def test_search_candidates__a_version_without_has_index_counts_as_indexed(
    gray_pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the method of the setting, while no version of it is stored."""
    recorder = StatementRecorder(monkeypatch)
    vectors = [QueryVector(loaded(Mean), partial(similarities_on_curve, Mean.curve), "[0.4,0.4,0.4]", method=Mean())]
    records = candidates.searchable_records(source(), [Picture.objects.all()], [])
    assert len(candidates.search_candidates(source(), vectors, records, {"mean": 3}, 3)) == 3
    assert recorder.calls == [({"mean": 3}, set())]


def test_search_candidates__of_an_empty_queryset_is_empty(gray_pictures: list[Picture]) -> None:
    vectors = query_vectors.stored_queries(source(), [gray_pictures[0]], ["mean"])[gray_pictures[0]]
    none = IndexedImage.objects.none()
    assert candidates.search_candidates(source(), vectors, none, {"mean": 3}, 3) == []


def test_search_candidates__of_a_query_deleted_meanwhile_score_nothing(
    make_picture: Any, index_now: Any, configure: Any
) -> None:
    """Its signatures are deleted between the first query and the last."""
    configure(METHODS={"palette": {}, "color": {}}, RANKING={"palette": 1, "color": 1})
    item, _other = make_picture(1), make_picture(2)
    index_now()
    vectors = query_vectors.stored_queries(source(), [item], ["palette", "color"])[item]
    assert len(vectors) == 2
    Signature.objects.filter(record__object_id=item.pk).delete()
    weights = {"palette": 1.0, "color": 1.0}
    records = candidates.searchable_records(source(), [Picture.objects.all()], [item.pk])
    rows = candidates.search_candidates(source(), vectors, records, {"palette": 12, "color": 12}, 12)
    assert rows
    assert candidates.score_rows(vectors, rows, weights) == []


# Scoring


def test_score_rows__fuses_the_similarities_of_the_methods_that_a_row_has() -> None:
    """By the curves, 1 is 50% by "mean", and 16 of 64 bits are 75%."""
    vectors = [query_vector(), query_vector(loaded(Bits))]
    rows = [
        knn_row(1, 1.0, 16.0, found_by=(1, 0)),
        knn_row(2, 0.0, None, found_by=(0,)),
        knn_row(3, None, 32.0, found_by=(1,)),
        knn_row(4, None, None),
    ]
    results = candidates.score_rows(vectors, rows, {"mean": 3, "bits": 1})
    assert [(scored.candidate.record_id, scored.similarity, scored.scores) for scored in results] == [
        (2, 100, {"mean": 100}),
        (1, 56.25, {"mean": 50, "bits": 75}),
        (3, 50, {"bits": 50}),
    ]
    assert [scored.candidate for scored in results] == [
        candidates.Candidate(2, "object 2", "2.png", {"mean": 0}, ["mean"]),
        candidates.Candidate(1, "object 1", "1.png", {"mean": 1, "bits": 16}, ["mean", "bits"]),
        candidates.Candidate(3, "object 3", "3.png", {"bits": 32}, ["bits"]),
    ]
    assert [(scored.verdict, scored.folded) for scored in results] == [(None, 0)] * 3


def test_score_rows__reads_the_columns_from_the_first_of_its_vectors_on() -> None:
    rows = [knn_row(1, 0.0, 1.0, 3.0, found_by=(0, 2))]
    similarities = []
    for first in range(3):
        (scored,) = candidates.score_rows([query_vector()], rows, {"mean": 1}, first=first)
        similarities.append((scored.similarity, list(scored.candidate.found_by)))
    assert similarities == [(100, ["mean"]), (50, []), (0, ["mean"])]


@pytest.fixture
def three_grays(mean_method: None, index_now: Any) -> list[IndexedImage]:
    items = [save_gray(level) for level in (100, 110, 130)]
    index_now()
    return [IndexedImage.objects.get(object_id=str(item.pk)) for item in items]


def test_refinement__replaces_the_distances_of_methods_that_have_exact_ones(three_grays: list[IndexedImage]) -> None:
    query, first, second = three_grays
    rows = [knn_row(first.pk, 0.1), knn_row(second.pk, 0.2), knn_row(10**6, 0.3)]
    vector = query_vector(loaded(RefiningMean), record_id=query.pk)
    results = candidates.score_rows([vector], rows, {"mean": 1})
    distances = {scored.candidate.record_id: scored.candidate.distances["mean"] for scored in results}
    assert distances[first.pk] == pytest.approx(2 * 3 * 10 / 255, abs=1e-3)
    assert distances[second.pk] == pytest.approx(2 * 3 * 30 / 255, abs=1e-3)
    assert distances[10**6] == 0.3, "a record without a signature keeps what it has"
    unrefined = candidates.score_rows([vector], rows, {"mean": 1}, refine=False)
    assert [scored.candidate.distances["mean"] for scored in unrefined] == [0.1, 0.2, 0.3]


def test_refinement__uses_a_value_that_is_not_stored(three_grays: list[IndexedImage]) -> None:
    import numpy as np

    _query, first, _second = three_grays
    vector = query_vector(loaded(RefiningMean), value=np.full(3, 110 / 255, np.float32))
    (scored,) = candidates.score_rows([vector], [knn_row(first.pk, 0.1)], {"mean": 1})
    assert scored.candidate.distances["mean"] == pytest.approx(0, abs=1e-3)


def test_refinement__skips_other_methods_and_versions_and_images_without_detail(
    three_grays: list[IndexedImage],
) -> None:
    query, first, second = three_grays
    rows = [knn_row(first.pk, 0.1), knn_row(second.pk, 0.2)]

    def distances(vector: QueryVector) -> list[float]:
        return [s.candidate.distances["mean"] for s in candidates.score_rows([vector], rows, {"mean": 1})]

    assert distances(query_vector(loaded(Mean), record_id=query.pk)) == [0.1, 0.2]
    Signature.objects.filter(record=first).update(low_detail=True)
    assert distances(query_vector(loaded(RefiningMean), record_id=query.pk))[0] == 0.1
    Signature.objects.filter(record=second).update(version="other")
    assert distances(query_vector(loaded(RefiningMean), record_id=query.pk)) == [0.1, 0.2]
    Signature.objects.filter(record=second).update(version=f"1{PX}", method="other")
    assert distances(query_vector(loaded(RefiningMean), record_id=query.pk)) == [0.1, 0.2]
    Signature.objects.filter(record=query).delete()
    assert distances(query_vector(loaded(RefiningMean), record_id=query.pk)) == [0.1, 0.2]


# Filtering and sorting


@pytest.mark.parametrize(
    ("similarity", "least", "passes"),
    [
        (70, 70, True),
        (69.96, 70, True),  # shown as 70.0
        (69.94, 70, False),
        (69.94, 69.9, True),
        (70.04, 70.1, False),
        (70.06, 70.1, True),
        (0, 0, True),
    ],
)
def test_filter_by_similarity__goes_by_the_decimal_that_is_shown(similarity: float, least: float, passes: bool) -> None:
    scored = scored_candidate(1, similarity)
    assert candidates.filter_by_similarity(least, [scored]) == ([scored] if passes else [])


def scored_at(record_id: int, similarity: float, **distances: float) -> candidates.ScoredCandidate:
    scored = scored_candidate(record_id, similarity)
    return scored._replace(candidate=scored.candidate._replace(distances=distances))


def test_sort__breaks_ties_by_the_sum_of_distances_then_by_record_id() -> None:
    results = [
        scored_at(3, 0, a=5, b=1),
        scored_at(2, 0, a=1, b=6),
        scored_at(4, 0, a=3, b=3),
        scored_at(1, 50, a=9, b=9),
        scored_at(5, 50.1, a=9, b=9),
    ]
    assert record_ids(candidates.sort_scored(results)) == [5, 1, 3, 4, 2]
    assert candidates.sort_key(results[0]) == (0, 6, 3)
    assert candidates.sort_key(results[4]) == (-50.1, 18, 5)


def test_bounds__are_those_of_the_docs() -> None:
    assert (candidates.MAX_POOL, candidates.MIN_OVERFETCH, candidates.OVERFETCH_PER_SHARE) == (100, 20, 1_000)
