"""REST: how two items resemble each other, and which parts of their images match."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import caches

from tests import drawing
from tests.testapp.models import Couple, Item, Photo, Picture

pytestmark = pytest.mark.django_db

API = "/api/similar-images"

WHOLE = drawing.textured(1)
CROP = WHOLE.crop((80, 48, 288, 216))


def file_of(image: Any) -> Any:
    return drawing.ContentFile(drawing.encoded(image), "image.png")


@pytest.fixture(autouse=True)
def _time(configure: Any) -> None:
    configure(REQUEST_TIMEOUT=60)  # the network may be loaded


@pytest.fixture
def pair() -> list[Picture]:
    return [Picture.objects.create(image=file_of(image)) for image in (WHOLE, CROP)]


def explain(client: Any, item: Any, other: Any, **params: Any) -> Any:
    return client.get(f"{API}/{item._meta.label_lower}/{item.pk}/explanation/", {"other": other.pk, **params})


def test_explanation__has_a_sentence_and_the_boxes(client: Any, pair: list[Picture]) -> None:
    answer = explain(client, *pair)
    assert answer.status_code == 200
    data = answer.json()
    assert data["resemblance"] == "same-image"
    assert data["sentence"].startswith("Same image: cropped to 65% of its width")
    assert data["boxes"]["query"] == pytest.approx([0.25, 0.2, 0.65, 0.7], abs=0.02)
    assert data["boxes"]["match"] == pytest.approx([0, 0, 1, 1], abs=0.02)


def test_explanation__of_what_has_no_part_in_common_has_no_boxes(client: Any, make_picture: Any) -> None:
    data = explain(client, make_picture(1), make_picture(2)).json()
    assert data["boxes"] == {"query": None, "match": None}
    assert data["sentence"]


def test_explanation__compares_the_two_most_similar_images_of_owners(client: Any, index_now: Any) -> None:
    first, second = (Item.objects.create(name=name) for name in "ab")
    for item, images in (
        (first, [drawing.scene(1), WHOLE]),
        (second, [drawing.scene(2), drawing.scene(3), WHOLE.resize((300, 225))]),
    ):
        for image in images:
            Photo.objects.create(item=item, image=file_of(image))
    index_now()
    assert explain(client, first, second).json()["resemblance"] == "same-image"
    empty = Item.objects.create(name="c")
    assert "no image" in explain(client, first, empty).json()["errors"]["other"][0]
    assert "no image" in explain(client, empty, first).json()["errors"]["pk"][0]


def test_explanation__of_a_hidden_object_is_that_of_a_missing_one(
    client: Any, pair: list[Picture], django_assert_num_queries: Any
) -> None:
    shown, hidden = pair
    Picture.objects.filter(pk=hidden.pk).update(published=False)
    for first, second in ((shown, hidden), (hidden, shown)):
        answer = explain(client, first, second)
        missing = Picture(pk=10**6)
        other = explain(client, *(missing if each is hidden else each for each in (first, second)))
        assert answer.status_code == other.status_code == 404
        assert answer.json() | {"instance": ""} == other.json() | {"instance": ""}


def test_explanation__refuses_what_it_does_not_know(client: Any, pair: list[Picture]) -> None:
    assert "Unknown parameter" in str(explain(client, *pair, othr=1).json()["errors"])
    missing = client.get(f"{API}/testapp.picture/{pair[0].pk}/explanation/")
    assert (missing.status_code, list(missing.json()["errors"])) == (400, ["other"])
    couple = Couple.objects.create()
    assert explain(client, couple, couple).status_code == 400
    assert client.get(f"{API}/auth.user/1/explanation/", {"other": 2}).status_code == 404


def test_explanation__is_for_those_who_may_compare_and_at_their_rate(
    client: Any, pair: list[Picture], configure: Any
) -> None:
    caches["default"].clear()
    configure(COSTLY_RATES={"anonymous": "1/hour"})
    assert [explain(client, *pair).status_code for _ in range(2)] == [200, 429]
    configure(COMPARE="authenticated", COSTLY_RATES=None)
    assert explain(client, *pair).status_code in (401, 403)
    configure(COMPARE="nobody")
    assert explain(client, *pair).status_code == 404


def test_matches__explained_have_a_sentence_for_free(client: Any, make_picture: Any, index_now: Any) -> None:
    item, _copy = make_picture(1), make_picture(1)
    index_now()
    path = f"{API}/testapp.picture/{item.pk}/similar/"
    (row,) = client.get(path, {"explain": 1}).json()["results"]
    assert row["explanation"]["resemblance"] == "same-design"
    assert row["explanation"]["sentence"] == "Probably the same design in the same colors."


def test_fallback__explained_has_no_sentence(client: Any, make_picture: Any, index_now: Any) -> None:
    item, _other = make_picture(1), make_picture(2)
    index_now()
    params = {"explain": 1, "min_similarity": 100, "fallback": "newest"}
    (row,) = client.get(f"{API}/testapp.picture/{item.pk}/similar/", params).json()["results"]
    assert (row["fallback"], row["explanation"]["resemblance"], row["explanation"]["sentence"]) == (True, None, None)
