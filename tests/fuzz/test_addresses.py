"""Whatever stands in an address or a form: an answer, or a refusal that says why; never an error of the server."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.urls import NoReverseMatch, reverse
from hypothesis import given
from hypothesis import strategies as st

from similar_images.search.options import Option, OptionError, SearchOptions, parse_box, parse_ranking
from tests.drawing import upload
from tests.fuzz import answer_or_refusal, fuzzed
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db

API = "/api/similar-images"
ANSWERS = {200, 400, 404}

ODD_TEXTS = [
    *("", " ", "0", "1", "-1", "00", "1.5", "1e400", "-1e400", "nan", "inf", "-0", "0x10", "1_000", "١٢", "½"),
    *("9" * 30, "9" * 5000, "\0", "\ud7ff", "\ufeff1", "true", "null", "None", "on", "[]", "{}", "a,b", ":", "::", ","),
    *("0,0,1,1", "0,0,0,0", "1,1,1,1", "0,0,nan,1", "0,0,1", "0,0,1e-9,1", "mean", "mean:1", "mean:0", "mean:nan"),
    *("mean:1e400", "mean:1,mean:2", "none:1", "product", "copy", "keypoints", "newest", "image", "nonsense", "%00"),
    *("testapp.picture:1", "testapp.picture.image:1", "testapp.picture:", "..:1", "testapp.picture:\0", "a.b.c.d:1"),
]
TEXTS = st.sampled_from(ODD_TEXTS) | st.text(max_size=20) | st.integers().map(str) | st.floats().map(str)
DECLARED = sorted({*SearchOptions.on("rest"), *SearchOptions.on("page"), "model", "text", "a", "b", "measures"})
PARAMETERS = st.dictionaries(st.sampled_from(DECLARED), TEXTS | st.lists(TEXTS, max_size=6), max_size=4)


def check_answer(answer: Any) -> None:
    assert answer.status_code in ANSWERS
    if answer["Content-Type"].startswith("application/json"):
        json.loads(answer.content, parse_constant=pytest.fail)  # NaN and Infinity are no JSON
        assert answer.status_code == 200 or answer.json()


@fuzzed
@given(PARAMETERS)
def test_similar__with_any_parameters(client: Any, gray_pictures: list[Picture], parameters: Any) -> None:
    check_answer(client.get(f"{API}/testapp.picture/{gray_pictures[0].pk}/similar/", parameters))
    check_answer(client.get(f"/similar-images/testapp.picture/{gray_pictures[0].pk}/", parameters))


@fuzzed
@given(PARAMETERS, st.booleans())
def test_search__with_any_parameters(
    client: Any, gray_pictures: list[Picture], parameters: Any, has_image: bool
) -> None:
    image = {"image": upload()} if has_image else {}
    parameters = {"model": "testapp.picture", **parameters}
    check_answer(client.post(f"{API}/search/", parameters | image))
    check_answer(client.get("/similar-images/search/", parameters))


@fuzzed
@given(TEXTS, TEXTS, TEXTS)
def test_compare__with_any_objects(client: Any, gray_pictures: list[Picture], a: str, b: str, measures: str) -> None:
    check_answer(client.post(f"{API}/compare/", {"a": a, "b": b, "measures": measures}))
    check_answer(client.get("/similar-images/compare/", {"a": a, "b": b, "measures": measures}))


@fuzzed
@given(TEXTS, TEXTS)
def test_addresses__with_any_model_and_key(client: Any, model: str, pk: str) -> None:
    for suffix in ("", "/similar", "/mark"):
        for prefix in (API, "/similar-images"):
            answer = client.get(f"{prefix}/{quote(model, safe='')}/{quote(pk)}{suffix}/")
            assert answer.status_code in {*ANSWERS, 403, 405}


@fuzzed
@given(TEXTS, TEXTS)
def test_cached_images__with_any_token_and_name(client: Any, token: str, name: str) -> None:
    for namespace in ("similar_images", "similar_images_api"):
        try:
            address = reverse(f"{namespace}:picture", args=[token, name])
        except NoReverseMatch:
            continue
        assert client.get(address).status_code == 404


@fuzzed
@given(TEXTS, TEXTS, TEXTS)
def test_mark__with_any_objects(
    admin_client: Any, gray_pictures: list[Picture], other: str, alike: str, field: str
) -> None:
    address = f"{API}/testapp.picture/{gray_pictures[0].pk}/mark/"
    check_answer(admin_client.post(address, {"other": other, "alike": alike, "field": field}))
    check_answer(admin_client.delete(f"{address}?other={quote(other)}&field={quote(field)}"))


@fuzzed
@given(TEXTS)
def test_texts__are_parsed_or_refused(text: str) -> None:
    for parse in (parse_box, parse_ranking):
        answer_or_refusal(ValueError, parse, text)


@fuzzed
@given(
    st.sampled_from(list(SearchOptions.on("python").values())),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.lists(st.floats() | st.text())
    | st.binary(),
)
def test_options__of_any_value_are_taken_or_refused(option: Option, value: Any) -> None:
    options = answer_or_refusal(OptionError, SearchOptions.from_arguments, "similar_to", {option.name: value})
    if options:
        answer_or_refusal(OptionError, options.check, 1)
