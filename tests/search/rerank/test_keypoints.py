"""Keypoints: results whose image verifiably shows the same object rank first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import similar_images
from similar_images.search.matches import Match
from similar_images.search.rerank import image_pairs, keypoints
from similar_images.search.rerank.image_pairs import PairResults
from tests.search.samples import record_ids, scored_candidate
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db


def similarities(matches: list[Match]) -> dict[str, float]:
    return {match.title: match.similarity for match in matches}


def test_rerank__boosts_images_that_keypoints_verify(recolored: dict[str, Picture]) -> None:
    before = similarities(similar_images.similar_to(recolored["query"]))
    assert list(before)[-1] == "same"
    after = similarities(similar_images.similar_to(recolored["query"], rerank="keypoints"))
    assert after["same"] > before["same"]
    assert {title: after[title] for title in after if title != "same"} == {
        title: before[title] for title in before if title != "same"
    }
    assert after["same"] == pytest.approx(before["same"] + 0.9 * (100 - before["same"]), abs=0.1)


def test_rerank__keeps_the_rank_of_missing_files_and_where_time_is_up(
    recolored: dict[str, Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = similarities(similar_images.similar_to(recolored["query"]))
    Path(recolored["same"].image.path).unlink()
    assert similarities(similar_images.similar_to(recolored["query"], rerank="keypoints")) == before
    ticks = iter([0.0, *[1e9] * 99])
    monkeypatch.setattr(image_pairs, "monotonic", lambda: next(ticks))
    assert similarities(similar_images.similar_to(recolored["query"], rerank="keypoints")) == before


def test_rerank__over_rest_agrees_with_python(recolored: dict[str, Picture], client: Any) -> None:
    address = f"/api/similar-images/testapp.picture/{recolored['query'].pk}/similar/"
    results = client.get(address, {"rerank": "keypoints", "limit": 1}).json()["results"]
    (match,) = similar_images.similar_to(recolored["query"], rerank="keypoints", limit=1)
    assert [(result["title"], result["similarity"]) for result in results] == [(match.title, match.similarity)]


def test_boost__compares_max_reranked_results_and_sorts_all(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def compare(source: Any, query: Any, candidates: Any, function: Any, *, long_side: int) -> PairResults[int]:
        compared.extend(record_ids(candidates))
        assert long_side == keypoints.KEYPOINT_SIDE
        return PairResults({3: 30})

    monkeypatch.setattr(keypoints, "compare_candidates", compare)
    monkeypatch.setattr(keypoints, "MAX_RERANKED", 3)
    results = [scored_candidate(number, 60 - number) for number in range(1, 6)]
    boosted = keypoints.boost_by_keypoints(None, b"image", [], results)
    assert compared == [1, 2, 3]
    assert record_ids(boosted) == [3, 1, 2, 4, 5]
    assert [scored.similarity for scored in boosted] == [pytest.approx(57 + 0.9 * 43), 59, 58, 56, 55]
    assert keypoints.boost_by_keypoints(None, "a chair", [], results) == results


def test_bounds__are_those_of_the_docs() -> None:
    assert (keypoints.MAX_RERANKED, keypoints.KEYPOINT_SIDE, keypoints.MAX_POINTS) == (100, 320, 300)


def test_boosted_similarity__rises_with_inliers_and_stays_below_100() -> None:
    values = [keypoints.boosted_similarity(40, inliers) for inliers in (0, 9, 12, 20, 30, 300)]
    assert values == sorted(values)
    assert values[:2] == [40, 40]
    assert values[-1] == pytest.approx(94)
    assert keypoints.boosted_similarity(100, 0) == 100


@pytest.mark.parametrize(
    ("inliers", "share"), [(8, 0), (9, 0), (10, 1 / 21), (19, 10 / 21), (29, 20 / 21), (30, 1), (31, 1)]
)
def test_boosted_similarity__closes_a_share_of_the_gap_from_10_to_30_inliers(inliers: int, share: float) -> None:
    for similarity in (0, 50, 90):
        expected = similarity + 0.9 * share * (100 - similarity)
        assert keypoints.boosted_similarity(similarity, inliers) == pytest.approx(expected)
