"""The site's own verifier: results rank by what it says, and as before where it fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import similar_images
from similar_images.checks import setting
from similar_images.search.matches import Match
from similar_images.search.options import OptionError
from similar_images.search.rerank import image_pairs, verifier
from tests.api.test_schema import generate_document
from tests.drawing import textured
from tests.items import save_image
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db

Pixels = NDArray[np.uint8]


def by_texture(a: Pixels, b: Pixels) -> float:
    """Return 0.9 for an image with any detail, and less the darker a plain one is."""
    return 0.9 if b.std(axis=(0, 1)).max() > 1 else float(b.mean()) / 1000


def broken(a: Pixels, b: Pixels) -> float:
    raise ValueError("no such layer")


NO_FUNCTION = 5


def figures(matches: Any) -> dict[str, float]:
    return {match.title: match.similarity for match in matches}


def search(items: dict[str, Picture], **options: Any) -> list[Match]:
    return list(similar_images.similar_to(items["query"], **{"rerank": "verifier", "fold": False, **options}))


def test_verifier__ranks_and_gives_the_similarity(recolored: dict[str, Picture], configure: Any) -> None:
    before = figures(search(recolored, rerank=None))
    assert list(before)[-1] == "same"
    configure(VERIFIER=f"{__name__}.by_texture")
    after = figures(search(recolored))
    assert list(after) == ["same", "plain2", "plain1", "plain0"]
    assert after["same"] == 90
    assert 0 < after["plain0"] < after["plain1"] < after["plain2"] < 25
    assert figures(search(recolored, min_similarity=50)) == {"same": 90}


def test_verifier__is_the_same_on_every_surface(recolored: dict[str, Picture], configure: Any, client: Any) -> None:
    configure(VERIFIER=by_texture, MIN_SIMILARITY=0)
    expected = list(figures(search(recolored)).items())
    key, options = recolored["query"].pk, {"rerank": "verifier"}
    answer = client.get(f"/api/similar-images/testapp.picture/{key}/similar/", options).json()
    assert [(result["title"], result["similarity"]) for result in answer["results"]] == expected
    assert answer["complete"] is True
    html = client.get(f"/similar-images/testapp.picture/{key}/", options).content.decode()
    places = [html.index(f">{title}<") for title, _similarity in expected]
    assert places == sorted(places)
    with open(recolored["query"].image.path, "rb") as file:
        found = figures(similar_images.similar_to(file, model=Picture, rerank="verifier"))
    assert found.pop("query") == 90
    assert found == dict(expected)


def test_verifier__gets_bounded_rgb_of_the_query_and_each_match(configure: Any, index_now: Any) -> None:
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    query = save_image(textured(1).resize((1500, 500)), "query")
    for seed in (2, 3):
        save_image(textured(seed).resize((40, 90)), f"other{seed}")
    index_now()
    seen: list[tuple[Any, ...]] = []

    def verify(a: Pixels, b: Pixels) -> float:
        seen.append((a.shape, a.dtype, b.shape, b.dtype, a.mean()))
        a[:], b[:] = 0, 0  # its own copies
        return 0.5

    configure(VERIFIER=verify)
    assert set(figures(similar_images.similar_to(query, rerank="verifier", fold=False)).values()) == {50}
    uint8 = np.dtype(np.uint8)
    (first, second) = seen
    assert first[:4] == second[:4] == ((171, 512, 3), uint8, (90, 40, 3), uint8)
    assert first[4] == second[4] > 0


def test_verifier__looks_at_the_best_only(
    recolored: dict[str, Picture], configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    configure(VERIFIER=lambda a, b: calls.append(b) or 1)
    monkeypatch.setattr(verifier, "MAX_JUDGED", 2)
    before, after = figures(search(recolored, rerank=None)), figures(search(recolored))
    assert len(calls) == 2
    assert after == {title: 100 if index < 2 else before[title] for index, title in enumerate(before)}


@pytest.mark.parametrize("value", [1.01, -0.1, float("nan"), float("inf"), None, "high", [0.5, 0.5]])
def test_verifier__leaves_the_order_where_its_value_is_none(
    value: Any, recolored: dict[str, Picture], configure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    values = iter([0.1, value])  # what it said before is not used, either
    before = figures(search(recolored, rerank=None))
    configure(VERIFIER=lambda a, b: next(values))
    with caplog.at_level(logging.ERROR, "similar_images"):
        matches = similar_images.similar_to(recolored["query"], rerank="verifier")
    assert list(figures(matches).items()) == list(before.items())
    assert not matches.is_complete
    (record,) = caplog.records
    assert "SIMILAR_IMAGES['VERIFIER'] failed; a search of testapp.Picture.image keeps its order" in record.message


@pytest.mark.parametrize("value", [True, 1, np.float32(1), np.array(1.0)])
def test_verifier__takes_any_number(value: Any, recolored: dict[str, Picture], configure: Any) -> None:
    configure(VERIFIER=lambda a, b: value)
    assert set(figures(search(recolored)).values()) == {100}


def test_verifier__that_raises_is_logged_with_its_error(
    recolored: dict[str, Picture], configure: Any, caplog: pytest.LogCaptureFixture, client: Any
) -> None:
    configure(VERIFIER=broken, MIN_SIMILARITY=0)
    url = f"/api/similar-images/testapp.picture/{recolored['query'].pk}/similar/"
    before = client.get(url).json()["results"]
    with caplog.at_level(logging.ERROR, "similar_images"):
        answer = client.get(url, {"rerank": "verifier"})
    assert (answer.status_code, answer.json()["complete"]) == (200, False)
    assert answer.json()["results"] == before
    (record,) = caplog.records
    assert "ValueError: no such layer" in record.message
    assert "in broken" in caplog.text


def test_verifier__that_takes_too_long_leaves_the_order(recolored: dict[str, Picture], configure: Any) -> None:
    before = figures(search(recolored, rerank=None))

    def verify(a: Pixels, b: Pixels) -> float:
        time.sleep(0.5)
        return 1

    configure(VERIFIER=verify, REQUEST_TIMEOUT=0.3)
    matches = similar_images.similar_to(recolored["query"], rerank="verifier")
    assert (figures(matches), matches.is_complete) == (before, False)


def test_verifier__is_not_asked_about_a_file_that_is_missing(recolored: dict[str, Picture], configure: Any) -> None:
    before = figures(search(recolored, rerank=None))
    Path(recolored["plain1"].image.path).unlink()
    configure(VERIFIER=lambda a, b: 0.25)
    assert figures(search(recolored)) == dict.fromkeys(before, 25) | {"plain1": before["plain1"]}


def test_verifier__is_not_asked_by_a_search_for_what_it_does_not_rank(
    recolored: dict[str, Picture], configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(VERIFIER=by_texture)
    monkeypatch.setattr(image_pairs, "read_stored", lambda *args, **options: pytest.fail("a file was read"))
    assert len(search(recolored, rerank=None)) == 4


def test_verifier__says_why_an_object_is_not_there(recolored: dict[str, Picture], configure: Any, client: Any) -> None:
    configure(VERIFIER=by_texture, MIN_SIMILARITY=0)
    url = f"/api/similar-images/testapp.picture/{recolored['query'].pk}/similar/"
    options = {"rerank": "verifier", "limit": 1, "min_similarity": 50, "why_not": recolored["plain0"].pk}
    reason = client.get(url, options).json()["why_not"]
    assert reason["code"] == "below-threshold"
    assert reason["similarity"] == figures(search(recolored))["plain0"]


@pytest.mark.parametrize("is_set", [False, True])
def test_option__is_offered_where_there_is_a_verifier(
    is_set: bool, recolored: dict[str, Picture], configure: Any, client: Any
) -> None:
    if is_set:
        configure(VERIFIER=by_texture)
    choices = ["keypoints", "neighbors", *(["verifier"] if is_set else [])]
    assert generate_document()["components"]["schemas"]["RerankEnum"]["enum"] == choices
    url = f"/api/similar-images/testapp.picture/{recolored['query'].pk}/similar/"
    assert client.get(url, {"rerank": "verifier"}).status_code == (200 if is_set else 400)
    if not is_set:
        with pytest.raises(ValueError, match="This site has no verifier"):
            search(recolored)


def test_option__is_costly_work(recolored: dict[str, Picture], configure: Any, client: Any) -> None:
    configure(VERIFIER=by_texture, RERANK="staff", COSTLY_MAX_LIMIT=2)
    url = f"/api/similar-images/testapp.picture/{recolored['query'].pk}/similar/"
    assert client.get(url, {"rerank": "verifier"}).status_code == 403
    configure(VERIFIER=by_texture, COSTLY_MAX_LIMIT=2)
    assert "At most 2 results" in str(client.get(url, {"rerank": "verifier", "limit": 3}).json()["errors"]["limit"])
    configure(VERIFIER=by_texture, RERANK="nobody")
    assert client.get(url, {"rerank": "verifier"}).status_code == 400


@pytest.mark.parametrize(
    ("options", "option"),
    [({"mode": "copy"}, "rerank"), ({"box": (0, 0, 0.5, 0.5)}, "rerank"), ({"diversity": 0.5}, "rerank")],
)
def test_option__refuses_what_it_can_not_be_combined_with(
    options: dict[str, Any], option: str, recolored: dict[str, Picture], configure: Any
) -> None:
    configure(VERIFIER=by_texture)
    with pytest.raises(OptionError) as raised:
        search(recolored, **options)
    assert raised.value.option == option


@pytest.mark.parametrize("value", ["nope.verify", f"{__name__}.nothing", f"{__name__}.NO_FUNCTION"])
def test_check__names_a_verifier_that_can_not_be_imported(value: str, configure: Any) -> None:
    configure(VERIFIER=value)
    (error,) = setting.check_verifier()
    assert error.id == "similar_images.E024"
    assert "SIMILAR_IMAGES['VERIFIER']" in error.msg
    assert "takes two arrays of pixels" in str(error.hint)


@pytest.mark.parametrize("value", [None, f"{__name__}.by_texture", by_texture])
def test_check__passes_a_verifier_that_can_be_used(value: str | Callable[..., Any] | None, configure: Any) -> None:
    configure(VERIFIER=value)
    assert setting.check_verifier() == []
