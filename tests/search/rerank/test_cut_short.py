"""Searches that compare images and are cut short say so, wherever their matches are shown."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import Storage

import similar_images
from similar_images.search.rerank import image_pairs
from tests.drawing import textured, upload
from tests.items import save_image
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db

PAGE, API = "/similar-images", "/api/similar-images"
SENTENCE = "Not all images could be compared in time, so matches may be missing."


@pytest.fixture
def pair(mean_method: None, index_now: Any) -> tuple[Picture, Picture]:
    image = textured(1)
    items = save_image(image, "one"), save_image(image.crop((20, 15, 320, 240)), "two")
    index_now()
    return items


@pytest.fixture(params=["no time", "storage down"])
def cut_short(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no time":
        clock = iter(range(0, 10**9, 10**6))
        monkeypatch.setattr(image_pairs, "monotonic", lambda: next(clock))
        return

    def refuse(*args: Any, **options: Any) -> bytes:
        raise ConnectionError("The storage does not answer.")

    monkeypatch.setattr(Storage, "open", refuse)


OPTIONS: list[dict[str, Any]] = [{"mode": "copy"}, {"rerank": "keypoints", "min_similarity": 100}]


@pytest.mark.parametrize("options", OPTIONS)
def test_complete__is_said_of_a_search_that_compared_all_it_found(client: Any, pair: Any, options: Any) -> None:
    assert similar_images.similar_to(pair[0], **options).is_complete
    assert Picture.objects.similar_to(pair[0], **options).is_complete
    assert Picture.objects.all().is_complete
    assert client.get(f"{API}/testapp.picture/{pair[0].pk}/similar/", options).json()["complete"] is True
    assert SENTENCE not in client.get(f"{PAGE}/testapp.picture/{pair[0].pk}/", options).content.decode()


@pytest.mark.parametrize("options", OPTIONS)
def test_complete__is_denied_everywhere_where_a_search_was_cut_short(
    client: Any, pair: Any, cut_short: None, options: Any
) -> None:
    assert not similar_images.similar_to(pair[0], **options).is_complete
    assert not similar_images.similar_to(pair[0], fallback="newest", **options).is_complete
    answer = client.get(f"{API}/testapp.picture/{pair[0].pk}/similar/", {**options, "why_not": pair[1].pk})
    assert answer.status_code == 200
    assert answer.json()["complete"] is False
    assert answer.json()["why_not"]["code"] == "incomplete"
    assert "no-store" in answer["Cache-Control"]
    html = client.get(f"{PAGE}/testapp.picture/{pair[0].pk}/", options).content.decode()
    assert SENTENCE in html
    assert "No copies of this image found." not in html
    assert "No items reach this similarity" not in html


@pytest.mark.parametrize("options", OPTIONS)
def test_complete__is_kept_by_querysets(pair: Any, cut_short: None, options: Any) -> None:
    matches = Picture.objects.similar_to(pair[0], **options)
    assert not matches.is_complete
    assert not matches.filter(title="x")[:5].is_complete
    assert not pickle.loads(pickle.dumps(matches)).is_complete  # noqa: S301 - what the test itself has pickled


def test_complete__is_denied_by_the_search_by_an_upload(client: Any, pair: Any, cut_short: None) -> None:
    data = {"image": upload(), "model": "testapp.picture", "mode": "copy"}
    assert client.post(f"{API}/search/", data).json()["complete"] is False
    html = client.post(f"{PAGE}/search/", data | {"image": upload()}, follow=True).content.decode()
    assert SENTENCE in html
    assert "No copies of this image found." not in html


def test_complete__is_kept_where_a_single_file_is_gone_for_good(pair: Any, index_now: Any) -> None:
    """There is nothing left of it that could be a copy."""
    gone = save_image(textured(2), "gone")
    index_now()
    Path(gone.image.path).unlink()
    assert similar_images.similar_to(pair[0], mode="copy").is_complete
