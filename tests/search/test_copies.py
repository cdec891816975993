"""Searches that compare pictures: for copies, whatever was done to them, and ranked again by keypoints."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import similar_images
from similar_images import registry
from similar_images.measures.base import ComparisonImage
from similar_images.measures.verdict import Verdict
from similar_images.models import IndexedImage
from similar_images.search import candidates
from similar_images.search.matches import Match
from similar_images.search.querysets import SimilarQuerySet
from similar_images.search.rerank import copies, image_pairs, keypoints
from tests import drawing
from tests.drawing import textured
from tests.items import save
from tests.testapp.models import Picture, Shelf

pytestmark = pytest.mark.django_db

SIZE = (320, 240)
API = "/api/similar-images"


@pytest.fixture
def copied(index_now: Any) -> dict[str, Picture]:
    """A picture, what was made of it, and others."""
    image = textured(1)
    items = {
        "query": save(image, "query"),
        "twin": save(image, "twin"),
        "encoded": save(image, "encoded", "JPEG", quality=60),
        "mirrored": save(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "mirrored"),
        "cropped": save(image.crop((20, 15, 320, 240)), "cropped"),
        **{f"other{seed}": save(textured(seed), f"other{seed}") for seed in range(2, 7)},
    }
    index_now()
    return items


COPIES = {"twin", "encoded", "mirrored", "cropped"}


def titles(matches: list[Match]) -> list[str]:
    return [match.title for match in matches]


def test_copy__finds_the_same_picture_whatever_was_done_to_it_and_nothing_else(copied: dict[str, Picture]) -> None:
    matches = similar_images.similar_to(copied["query"], mode="copy")
    assert set(titles(matches)) == COPIES
    assert all(match.similarity >= 90 for match in matches)
    assert (matches[0].title, matches[0].similarity, matches[0].verdict) == ("twin", 100, Verdict("same-file"))
    verdicts = {match.title: match.verdict for match in matches if match.verdict}
    assert verdicts["mirrored"].changes == ("mirrored",)
    assert "cropped" in verdicts["cropped"].changes


def test_copy__others_come_after_and_stay_below_the_threshold(copied: dict[str, Picture]) -> None:
    matches = similar_images.similar_to(copied["query"], mode="copy", min_similarity=0)
    assert set(titles(matches[:4])) == COPIES
    assert len(matches) == len(copied) - 1
    assert all(match.similarity < copies.COPY_THRESHOLD for match in matches[4:])
    assert {match.verdict.kind for match in matches[4:] if match.verdict} <= {"alike", "unrelated", "same-object"}


def test_copy__of_several_pictures_of_an_object_the_proven_one_comes(copied: dict[str, Picture]) -> None:
    """Also where signatures rank another one higher."""
    shelf = Shelf.objects.create()
    query, *others = copied.values()
    Picture.objects.filter(pk__in=[other.pk for other in others if other.title != "twin"]).update(shelf=shelf)
    matches = similar_images.similar_to(query, mode="copy", method="color", distinct="shelf")
    assert len(matches) == 2
    assert matches[0].title == "twin"
    assert matches[1].title in COPIES


def test_page__says_that_there_is_no_copy_and_from_where_on_one_is(copied: dict[str, Picture], client: Any) -> None:
    address = f"/similar-images/testapp.picture/{copied['other2'].pk}/"
    html = client.get(address, {"mode": "copy"}).content.decode()
    assert "No copies of this image found." in html
    assert 'placeholder="70"' in html
    html = client.get(address, {"min_similarity": 100}).content.decode()
    assert "Lower the minimum to see more." in html
    assert 'placeholder="0"' in html


def test_copy__by_an_upload(copied: dict[str, Picture]) -> None:
    data = drawing.encoded(textured(1).rotate(180), "JPEG", quality=80)
    matches = similar_images.similar_to(io.BytesIO(data), model=Picture, mode="copy")
    assert set(titles(matches)) == COPIES | {"query"}
    twin = drawing.encoded(textured(1))
    first = similar_images.similar_to(io.BytesIO(twin), model=Picture, mode="copy")[0]
    assert first.verdict == Verdict("same-file")


def test_copy__the_limit_cuts_after_the_proof(copied: dict[str, Picture]) -> None:
    assert titles(similar_images.similar_to(copied["query"], mode="copy", limit=1)) == ["twin"]


def test_copy__missing_files_are_skipped(copied: dict[str, Picture]) -> None:
    Path(copied["encoded"].image.path).unlink()
    Path(copied["twin"].image.path).unlink()
    found = similar_images.similar_to(copied["query"], mode="copy")
    assert set(titles(found)) == COPIES - {"encoded"}, "the twin is known by its digest"
    Path(copied["query"].image.path).unlink()
    assert titles(similar_images.similar_to(copied["query"], mode="copy")) == ["twin"]


def test_copy__without_time_only_the_same_file_is_proven(
    copied: dict[str, Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter([0.0, *[1e9] * 99])
    monkeypatch.setattr(image_pairs, "monotonic", lambda: next(ticks))
    assert titles(similar_images.similar_to(copied["query"], mode="copy")) == ["twin"]


def test_copy__looks_at_so_many_and_no_more(copied: dict[str, Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    real = copies._compare
    monkeypatch.setattr(copies, "_compare", lambda a, b, one: looked.append(one) or real(a, b, one))
    monkeypatch.setattr(copies, "MAX_VERIFIED", 3)
    similar_images.similar_to(copied["query"], mode="copy")
    assert len(looked) == 2, "three of which one is the same file"


def test_copy__costs_one_query_more(copied: dict[str, Picture], django_assert_num_queries: Any) -> None:
    for limit in (1, 12):
        with django_assert_num_queries(5):
            similar_images.similar_to(copied["query"], mode="copy", limit=limit)


def test_copy__weighs_what_is_enabled(configure: Any) -> None:
    assert copies.copy_weights(["embedding", "color", "phash"]) == {"embedding": 0.5, "color": 0.2, "phash": 0.1}
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    assert copies.copy_weights(["mean"]) == {"mean": 1}


def test_copy__in_a_queryset_keeps_the_order(copied: dict[str, Picture]) -> None:
    found = SimilarQuerySet(Picture).similar_to(copied["query"], mode="copy")
    assert [item.title for item in found] == titles(similar_images.similar_to(copied["query"], mode="copy"))
    assert all(item.similarity >= 90 for item in found)


def test_similarity__rises_with_agreement_and_with_likeness_and_keeps_the_kinds_apart() -> None:
    proven = [copies.copy_similarity(Verdict("same-picture"), agreement, 5) for agreement in (0.5, 0.7, 0.85, 1)]
    assert proven == sorted(proven)
    assert (proven[0], proven[-1]) == (90, 100)
    kinds = [Verdict("same-object"), Verdict("alike"), None]
    for verdict in kinds:
        values = [copies.copy_similarity(verdict, 0.6, similarity) for similarity in (0, 40, 80, 100)]
        assert values == sorted(set(values))
        assert max(values) < copies.COPY_THRESHOLD
    assert copies.copy_similarity(Verdict("same-object"), 0, 0) > copies.copy_similarity(None, 0, 100)


def test_worth_a_look__takes_what_one_method_alone_finds() -> None:
    def one(number: int, similarity: float, **scores: float) -> candidates.ScoredCandidate:
        return candidates.ScoredCandidate(similarity, candidates.Candidate(number, str(number), "", {}, []), scores)

    found = [one(number, 80 - number, a=80, b=10) for number in range(8)] + [one(9, 20, a=0, b=95)]
    chosen = [each.candidate.record_id for each in copies.select_for_verification(found, 3)]
    assert chosen == [0, 9, 1]


@pytest.mark.parametrize(
    "options", [{"mode": "nonsense"}, {"rerank": "nonsense"}, {"mode": "copy", "rerank": "keypoints"}]
)
def test_options__nonsense_is_told(copied: dict[str, Picture], client: Any, options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"mode|rerank"):
        similar_images.similar_to(copied["query"], **options)
    answer = client.get(f"{API}/testapp.picture/{copied['query'].pk}/similar/", options)
    assert (answer.status_code, set(answer.json()) <= {"mode", "rerank"}) == (400, True)
    assert client.get(f"/similar-images/testapp.picture/{copied['query'].pk}/", options).status_code == 400
    with pytest.raises(ValueError, match="no image to compare"):
        similar_images.similar_to(text="a chair", model=Picture, mode="copy")


def test_rest_and_page__take_the_mode(copied: dict[str, Picture], client: Any) -> None:
    address = f"{API}/testapp.picture/{copied['query'].pk}/similar/"
    results = client.get(address, {"mode": "copy"}).json()["results"]
    assert {result["title"] for result in results} == COPIES
    assert {result["verdict"] for result in results} == {"same-file", "same-picture"}
    assert "verdict" not in client.get(address).json()["results"][0]
    page = client.get(f"/similar-images/testapp.picture/{copied['query'].pk}/", {"mode": "copy"})
    assert set(titles(page.context["matches"])) == COPIES
    upload = {"image": io.BytesIO(drawing.encoded(textured(1))), "mode": "copy"}
    upload["image"].name = "x.png"
    found = client.post(f"{API}/search/", {**upload, "model": "testapp.picture"}).json()["results"]
    assert {result["title"] for result in found} == COPIES | {"query"}


@pytest.fixture
def recolored(configure: Any, index_now: Any) -> dict[str, Picture]:
    """By mean color alone the same thing, brighter and turned, comes last."""
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    image = textured(1)
    same = Image.fromarray((np.array(image.rotate(8)) * 0.5).astype(np.uint8))
    items = {"query": save(image, "query"), "same": save(same, "same")}
    mean = np.array(image).mean(axis=(0, 1)).astype(np.uint8)
    for number in range(3):
        plain = Image.new("RGB", SIZE, tuple(int(level) + number for level in mean))
        items[f"plain{number}"] = save(plain, f"plain{number}")
    index_now()
    return items


@pytest.mark.parametrize("options", [{"box": "0,0,0.5,0.5"}, {"diversity": 0.5}, {"like": "other"}])
@pytest.mark.parametrize("proof", [{"mode": "copy"}, {"rerank": "keypoints"}])
def test_proof__what_does_not_go_with_it_is_refused(
    options: dict[str, Any], proof: dict[str, str], copied: dict[str, Picture], client: Any
) -> None:
    """On every surface: a page or an answer that says so, not a failure, and not a search that ignores it."""
    query, other = copied["query"], copied["other2"]
    asked = {**proof, **(options if "like" not in options else {"like": other.pk})}
    for address in (f"{API}/testapp.picture/{query.pk}/similar/", f"/similar-images/testapp.picture/{query.pk}/"):
        answer = client.get(address, asked)
        assert answer.status_code == 400
        assert "leave out" in answer.content.decode()
    given = [query, other] if "like" in options else query
    others = {"box": (0, 0, 0.5, 0.5)} if "box" in options else {k: v for k, v in options.items() if k != "like"}
    with pytest.raises(ValueError, match="leave out"):
        similar_images.similar_to(given, **proof, **others)


def test_rerank__lifts_what_keypoints_prove(recolored: dict[str, Picture]) -> None:
    before = {match.title: match.similarity for match in similar_images.similar_to(recolored["query"])}
    assert list(before)[-1] == "same"
    after = {m.title: m.similarity for m in similar_images.similar_to(recolored["query"], rerank="keypoints")}
    assert after["same"] > before["same"]
    assert {title: after[title] for title in after if title != "same"} == {
        title: before[title] for title in before if title != "same"
    }
    assert after["same"] == pytest.approx(before["same"] + 0.9 * (100 - before["same"]), abs=0.1)


def test_rerank__what_ran_out_of_time_or_is_missing_keeps_its_place(
    recolored: dict[str, Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = titles(similar_images.similar_to(recolored["query"]))
    Path(recolored["same"].image.path).unlink()
    assert titles(similar_images.similar_to(recolored["query"], rerank="keypoints")) == before
    ticks = iter([0.0, *[1e9] * 99])
    monkeypatch.setattr(image_pairs, "monotonic", lambda: next(ticks))
    assert titles(similar_images.similar_to(recolored["query"], rerank="keypoints")) == before


def test_rerank__over_rest(recolored: dict[str, Picture], client: Any) -> None:
    address = f"{API}/testapp.picture/{recolored['query'].pk}/similar/"
    results = client.get(address, {"rerank": "keypoints", "limit": 1}).json()["results"]
    assert [result["title"] for result in results] == titles(
        similar_images.similar_to(recolored["query"], rerank="keypoints", limit=1)
    )


def test_lift__rises_with_points_and_never_reaches_a_copy() -> None:
    values = [keypoints.boosted_similarity(40, points) for points in (0, 9, 12, 20, 30, 300)]
    assert values == sorted(values)
    assert values[:2] == [40, 40]
    assert values[-1] == pytest.approx(94)
    assert keypoints.boosted_similarity(100, 0) == 100


def test_looking__a_query_that_is_gone_tells_nothing(copied: dict[str, Picture]) -> None:
    source = registry.get_source(Picture)
    assert IndexedImage.objects.for_source(source).count() == len(copied)
    Path(copied["query"].image.path).unlink()
    assert image_pairs.compare_candidates(source, copied["query"], [], lambda a, b, one: 1, long_side=64) == {}


def test_verdict__a_variant_of_a_thing_in_the_same_pose_is_no_copy() -> None:
    """As a shop has them: the lower half in another color, all else the same."""
    pixels = np.array(textured(1))
    variant = pixels.copy()
    variant[120:] = variant[120:, :, ::-1]
    found, agreement = copies.copy_verdict(ComparisonImage(pixels), ComparisonImage(variant), 80)
    assert found.kind == "same-object"
    assert copies.copy_similarity(found, agreement, 80) < copies.COPY_THRESHOLD
    darker = (pixels * 0.8).astype(np.uint8)
    assert copies.copy_verdict(ComparisonImage(pixels), ComparisonImage(darker), 80)[0].kind == "same-picture"
