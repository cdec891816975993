"""The card that explains: a sentence for free, and both images with the parts that match on demand."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.cache import caches

from tests import drawing
from tests.items import comparison_key
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db

EXPLANATION = "/similar-images/compare/explanation/"


@pytest.fixture(autouse=True)
def _time(configure: Any) -> None:
    configure(REQUEST_TIMEOUT=60)  # the network may be loaded


@pytest.fixture
def pair() -> tuple[Picture, Picture]:
    """A picture, and a crop of it."""
    whole = drawing.textured(1)
    pictures = [("whole", whole), ("crop", whole.crop((80, 48, 288, 216)))]
    a, b = (
        Picture.objects.create(title=name, image=drawing.ContentFile(drawing.encoded(image), f"{name}.png"))
        for name, image in pictures
    )
    return a, b


def explain(client: Any, a: Picture, b: Picture) -> Any:
    return client.get(EXPLANATION, {"a": comparison_key(a), "b": comparison_key(b)})


def test_card__says_why_without_script_and_links_to_the_comparison(
    client: Any, make_picture: Any, index_now: Any
) -> None:
    item, _other = make_picture(1), make_picture(1)
    index_now()
    html = client.get(f"/similar-images/testapp.picture/{item.pk}/").content.decode()
    (card,) = re.findall(r"<details class=.similar-images-why.*?</details>", html, re.DOTALL)
    assert "Probably the same design in the same colors." in card
    assert 'href="/similar-images/compare/?a=' in card
    assert f'data-similar-images-explanation="{EXPLANATION}?a=' in card


def test_card__of_who_may_not_compare_has_the_sentence_alone(
    client: Any, make_picture: Any, index_now: Any, configure: Any
) -> None:
    configure(COMPARE="staff")
    item, _other = make_picture(1), make_picture(1)
    index_now()
    html = client.get(f"/similar-images/testapp.picture/{item.pk}/").content.decode()
    assert "Probably the same design" in html
    assert "data-similar-images-explanation" not in html
    assert "/compare/?a=" not in html


def test_card__of_a_fallback_and_of_a_text_explains_nothing(client: Any, make_picture: Any, index_now: Any) -> None:
    item, _other = make_picture(1), make_picture(2)
    index_now()
    page = f"/similar-images/testapp.picture/{item.pk}/"
    html = client.get(page, {"min_similarity": 100, "fallback": "newest"}).content.decode()
    assert "newest items" in html
    assert "similar-images-why" not in html


def test_explanation__has_both_images_with_the_part_boxed(client: Any, pair: tuple[Picture, Picture]) -> None:
    answer = explain(client, *pair)
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "Same image: cropped to 65% of its width and 70% of its height" in html
    for picture in pair:
        assert f'src="{picture.image.url}"' in html
    numbers = [float(number) for number in re.findall(r'<rect x="([\d.]+)" y="([\d.]+)"', html)[0]]
    assert numbers == pytest.approx([0.25, 0.2], abs=0.02)
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", html)
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_explanation__is_told_in_the_language_of_the_visitor_with_points_in_numbers(
    client: Any, pair: tuple[Picture, Picture], settings: Any
) -> None:
    settings.LANGUAGES = [("en", "English"), ("de", "German")]
    html = client.get(
        EXPLANATION, {"a": comparison_key(pair[0]), "b": comparison_key(pair[1])}, headers={"Accept-Language": "de"}
    ).content.decode()
    assert "Gleiches Bild" in html
    assert re.search(r'<rect x="0\.\d+"', html)


def test_explanation__of_a_hidden_object_is_that_of_a_missing_one(client: Any, pair: tuple[Picture, Picture]) -> None:
    shown, hidden = pair
    Picture.objects.filter(pk=hidden.pk).update(published=False)
    missing = Picture(pk=10**6)
    answers = [explain(client, shown, other) for other in (hidden, missing)]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].content == answers[1].content
    assert "There is no such object." in answers[0].content.decode()
    assert hidden.image.name not in answers[0].content.decode()


def test_explanation__is_for_those_who_may_compare_and_at_their_rate(
    client: Any, pair: tuple[Picture, Picture], configure: Any
) -> None:
    caches["default"].clear()
    configure(COSTLY_RATES={"anonymous": "1/hour"})
    assert [explain(client, *pair).status_code for _ in range(2)] == [200, 429]
    configure(COMPARE="staff", COSTLY_RATES=None)
    assert explain(client, *pair).status_code == 403
    configure(COMPARE="nobody")
    assert explain(client, *pair).status_code == 404


def test_explanation__of_what_cannot_be_read_says_so(client: Any, pair: tuple[Picture, Picture]) -> None:
    pair[1].image.storage.delete(pair[1].image.name)
    answer = explain(client, *pair)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.content.decode()
