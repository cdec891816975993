"""Whatever a visitor asks of a list of matches, in whatever combination: matches, or a word on what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests import drawing
from tests.testapp.models import Picture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick")]

OPTIONS = [
    {"limit": "3"},
    {"limit": "0"},
    {"min_similarity": "99.95"},
    {"min_similarity": "nan"},
    {"method": "mean"},
    {"method": "nonsense"},
    {"ranking": "mean:1"},
    {"ranking": "mean:nan"},
    {"ranking": "product"},
    {"mode": "copy"},
    {"rerank": "keypoints"},
    {"like": ["OTHER", "QUERY"]},
    {"like": "\0"},
    {"unlike": "OTHER"},
    {"box": "0,0,0.5,0.5"},
    {"box": "nan,0,1,1"},
    {"box": "0.9,0.9,0.1,0.1"},
    {"diversity": "0.5"},
    {"diversity": "inf"},
    {"fallback": "newest"},
    {"fold": "0"},
    {"fold": "2"},
    {"field": "nonsense"},
    {"distances": "1"},
    {"explain": "1"},
    {"why_not": "OTHER"},
    {"why_not": "QUERY"},
    {"why_not": "\0"},
    {"text": "a chair"},
    {"labels": "1"},
    {"model": "nonsense"},
]


@pytest.mark.parametrize("place", range(len(OPTIONS)))
def test_options__any_two_give_an_answer(place: int, grays: list[Picture], client: Any) -> None:
    query, other = grays[0], grays[1]
    similar = [
        f"{prefix}/testapp.picture/{query.pk}/{suffix}"
        for prefix, suffix in (("/similar-images", ""), ("/api/similar-images", "similar/"))
    ]
    searches = ["/similar-images/search/", "/api/similar-images/search/"]
    keys = {"OTHER": str(other.pk), "QUERY": str(query.pk)}

    def filled(value: Any) -> Any:
        return [filled(each) for each in value] if isinstance(value, list) else keys.get(value, value)

    for second in OPTIONS[place:]:
        asked = {name: filled(value) for name, value in {**OPTIONS[place], **second}.items()}
        for address in similar:
            assert client.get(address, asked).status_code in (200, 400, 404), (address, asked)
    asked = {name: filled(value) for name, value in {"model": "testapp.picture", **OPTIONS[place]}.items()}
    for address in searches:
        assert client.get(address, asked).status_code in (200, 400), (address, asked)
        assert client.post(address, {"image": drawing.file(1), **asked}).status_code in (200, 400), (address, asked)
