"""Copies: found however they were edited, verified by comparing the images, and ranked by how sure that is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import similar_images
from similar_images import plugins
from similar_images.measures.base import ComparisonImage
from similar_images.measures.verdict import Verdict, judge_pair
from similar_images.search.matches import Match
from similar_images.search.querysets import SimilarQuerySet
from similar_images.search.rerank import copies, image_pairs
from tests import drawing, encoders
from tests.drawing import textured
from tests.search.samples import record_ids, scored_candidate
from tests.testapp.models import Picture, Shelf

pytestmark = pytest.mark.django_db

COPIES = {"identical", "encoded", "mirrored", "cropped"}


def titles(matches: list[Match]) -> list[str]:
    return [match.title for match in matches]


def test_copy__finds_every_edited_copy_and_nothing_else(edited_copies: dict[str, Picture]) -> None:
    matches = similar_images.similar_to(edited_copies["query"], mode="copy")
    assert set(titles(matches)) == COPIES
    assert all(match.similarity >= 90 for match in matches)
    assert (matches[0].title, matches[0].similarity) == ("identical", 100)
    assert matches[0].verdict == Verdict("same-file", probability=1.0)
    verdicts = {match.title: match.verdict for match in matches if match.verdict}
    assert verdicts["mirrored"].changes == ("mirrored",)
    assert "cropped" in verdicts["cropped"].changes


def test_copy__ranks_other_images_behind_copies_and_below_the_threshold(edited_copies: dict[str, Picture]) -> None:
    matches = similar_images.similar_to(edited_copies["query"], mode="copy", min_similarity=0)
    assert set(titles(matches[:4])) == COPIES
    assert len(matches) == len(edited_copies) - 1
    assert all(match.similarity < copies.COPY_THRESHOLD for match in matches[4:])
    assert {match.verdict.kind for match in matches[4:] if match.verdict} <= {"alike", "unrelated", "same-object"}


def test_copy__with_distinct_returns_the_verified_image_of_an_object(edited_copies: dict[str, Picture]) -> None:
    """Also where signatures rank another one higher."""
    shelf = Shelf.objects.create()
    query, *others = edited_copies.values()
    Picture.objects.filter(pk__in=[other.pk for other in others if other.title != "identical"]).update(shelf=shelf)
    matches = similar_images.similar_to(query, mode="copy", method="color", distinct="shelf")
    assert len(matches) == 2
    assert matches[0].title == "identical"
    assert matches[1].title in COPIES


def test_page__without_copies_says_so_and_shows_the_default_threshold(
    edited_copies: dict[str, Picture], client: Any
) -> None:
    address = f"/similar-images/testapp.picture/{edited_copies['other2'].pk}/"
    html = client.get(address, {"mode": "copy"}).content.decode()
    assert "No copies of this image found." in html
    assert 'placeholder="70"' in html
    html = client.get(address, {"min_similarity": 100}).content.decode()
    assert "Lower the minimum to see more." in html
    assert 'placeholder="0"' in html


def test_copy__searches_by_an_upload(edited_copies: dict[str, Picture]) -> None:
    data = drawing.encoded(textured(1).rotate(180), "JPEG", quality=80)
    matches = similar_images.similar_to(io.BytesIO(data), model=Picture, mode="copy")
    assert set(titles(matches)) == COPIES | {"query"}
    identical = drawing.encoded(textured(1))
    first = similar_images.similar_to(io.BytesIO(identical), model=Picture, mode="copy")[0]
    assert first.verdict == Verdict("same-file", probability=1.0)


def test_copy__applies_the_limit_after_verification(edited_copies: dict[str, Picture]) -> None:
    assert titles(similar_images.similar_to(edited_copies["query"], mode="copy", limit=1)) == ["identical"]


def test_copy__skips_missing_files_unless_their_digest_is_the_query_s(edited_copies: dict[str, Picture]) -> None:
    Path(edited_copies["encoded"].image.path).unlink()
    Path(edited_copies["identical"].image.path).unlink()
    matches = similar_images.similar_to(edited_copies["query"], mode="copy")
    assert set(titles(matches)) == COPIES - {"encoded"}
    Path(edited_copies["query"].image.path).unlink()
    assert titles(similar_images.similar_to(edited_copies["query"], mode="copy")) == ["identical"]


def test_copy__out_of_time_verifies_only_identical_files(
    edited_copies: dict[str, Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter([0.0, *[1e9] * 99])
    monkeypatch.setattr(image_pairs, "monotonic", lambda: next(ticks))
    assert titles(similar_images.similar_to(edited_copies["query"], mode="copy")) == ["identical"]


def test_copy__compares_at_most_max_verified_images(
    edited_copies: dict[str, Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three are selected, one of which is the same file and is not read."""
    compared = []
    real = copies._compare
    monkeypatch.setattr(copies, "_compare", lambda a, b, scored: compared.append(scored) or real(a, b, scored))
    monkeypatch.setattr(copies, "MAX_VERIFIED", 3)
    similar_images.similar_to(edited_copies["query"], mode="copy")
    assert len(compared) == 2


def test_copy__costs_one_more_query(edited_copies: dict[str, Picture], django_assert_num_queries: Any) -> None:
    for limit in (1, 12):
        with django_assert_num_queries(5):
            similar_images.similar_to(edited_copies["query"], mode="copy", limit=limit)


def test_copy__keeps_its_order_in_a_queryset(edited_copies: dict[str, Picture]) -> None:
    items = SimilarQuerySet(Picture).similar_to(edited_copies["query"], mode="copy")
    assert [item.title for item in items] == titles(similar_images.similar_to(edited_copies["query"], mode="copy"))
    assert all(item.similarity >= 90 for item in items)


def test_rest_and_page__accept_the_mode(edited_copies: dict[str, Picture], client: Any) -> None:
    address = f"/api/similar-images/testapp.picture/{edited_copies['query'].pk}/similar/"
    results = client.get(address, {"mode": "copy"}).json()["results"]
    assert {result["title"] for result in results} == COPIES
    assert {result["verdict"] for result in results} == {"same-file", "same-picture", "edited-picture"}
    assert "verdict" not in client.get(address).json()["results"][0]
    page = client.get(f"/similar-images/testapp.picture/{edited_copies['query'].pk}/", {"mode": "copy"})
    assert set(titles(page.context["matches"])) == COPIES
    upload = {"image": io.BytesIO(drawing.encoded(textured(1))), "mode": "copy", "model": "testapp.picture"}
    upload["image"].name = "x.png"
    results = client.post("/api/similar-images/search/", upload).json()["results"]
    assert {result["title"] for result in results} == COPIES | {"query"}


def test_verify_copies__leaves_texts_and_empty_results_alone() -> None:
    results = [scored_candidate(1, 50)]
    assert copies.verify_copies(None, "a chair", [], results) == results
    assert copies.verify_copies(None, b"image", [], []) == []


def test_copy_weights__are_those_of_enabled_methods(configure: Any) -> None:
    assert copies.copy_weights(["embedding", "color", "phash"]) == {"embedding": 0.5, "color": 0.2, "phash": 0.1}
    hashes = ["phash", "dhash", "ahash", "blockmean"]
    assert copies.copy_weights(hashes) == dict.fromkeys(hashes, 0.1)
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    assert copies.copy_weights(["mean"]) == {"mean": 1}


@pytest.mark.parametrize("name", ["sscd", "signature-of-copies"])
def test_copy__finds_candidates_by_a_copy_signature_of_any_name(
    name: str, tmp_path: Path, make_picture: Any, index_now: Any, configure: Any
) -> None:
    file = str(encoders.byte_encoder(tmp_path / "sscd.onnx"))
    copy_signature = {"class": "embedding", "preset": "sscd", "file": file, "layout": "NHWC"}
    configure(METHODS={"embedding": {}, name: copy_signature, "color": {}})
    item, _other = make_picture(1), make_picture(2)
    index_now()
    assert copies.copy_weights(plugins.enabled_methods()) == {"embedding": 0.5, "color": 0.2, name: 1}
    (match,) = similar_images.similar_to(item, mode="copy", min_similarity=0)
    assert set(match.scores) == {"embedding", "color", name}
    (match,) = similar_images.similar_to(item)
    assert name not in match.scores  # similar things are no copies
    assert plugins.copy_methods() == [name]


def test_select_for_verification__takes_what_only_one_method_ranks_high() -> None:
    results = [scored_candidate(number, 80 - number, a=80, b=10) for number in range(8)]
    results.append(scored_candidate(9, 20, a=0, b=95))
    assert record_ids(copies.select_for_verification(results, 3)) == [0, 9, 1]
    assert record_ids(copies.select_for_verification(results, 100)) == [0, 9, 1, 2, 3, 4, 5, 6, 7]


def test_select_for_verification__counts_a_missing_score_as_0() -> None:
    results = [scored_candidate(1, 50, a=50), scored_candidate(2, 40, a=40, b=0.5), scored_candidate(3, 30, b=0.2)]
    assert record_ids(copies.select_for_verification(results, 2)) == [1, 2]
    assert record_ids(copies._sort_by_method(results, "b")) == [2, 3, 1]


def test_bounds__are_those_of_the_docs() -> None:
    assert (copies.COPY_THRESHOLD, copies.MAX_VERIFIED, copies.COPY_CANDIDATES) == (70, 16, 60)


@pytest.mark.parametrize(
    ("kind", "probability", "similarity", "expected"),
    [
        (None, 0, 0, 0),
        (None, 0, 50, 29.5),
        (None, 0, 100, 59),
        ("alike", 0.1, 100, 59),
        ("unrelated", 0.1, 20, 11.8),
        ("same-object", 0, 100, 60),
        ("same-object", 0.35, 0, 64.5),
        ("same-object", 0.7, 0, 69),
        ("edited-picture", 0.7, 0, 70),
        ("edited-picture", 0.85, 0, 85),
        ("contains", 0.95, 100, 95),
        ("same-picture", 0.99, 0, 99),
        ("same-file", 1, 0, 100),
    ],
)
def test_copy_similarity__is_the_probability_of_a_copy_and_below_the_threshold_else(
    kind: Any, probability: float, similarity: float, expected: float
) -> None:
    verdict = Verdict(kind, probability=probability) if kind else None
    assert copies.copy_similarity(verdict, similarity) == pytest.approx(expected)


def test_verdict__is_that_of_a_comparison() -> None:
    pixels = np.array(textured(1))
    darker = judge(pixels, (pixels * 0.8).astype(np.uint8))
    assert darker == judge_pair(ComparisonImage(pixels), ComparisonImage((pixels * 0.8).astype(np.uint8)), lambda: 0.0)
    assert (darker.kind, darker.changes) == ("edited-picture", ("darker",))


def judge(a: Any, b: Any, similarity: float = 80.0) -> Verdict:
    return copies._compare(ComparisonImage(a), ComparisonImage(b), scored_candidate(1, similarity))


def test_verdict__of_images_without_a_registration_goes_by_their_similarity() -> None:
    dark, light = (np.full((64, 64, 3), level, np.uint8) for level in (20, 230))
    for similarity, kind in ((99, "alike"), (5, "unrelated")):
        assert judge(dark, light, similarity).kind == kind
