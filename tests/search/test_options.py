"""Search options: each declared once, checked alike in Python, on pages and over REST, in every combination."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import similar_images
from similar_images.api.filter_parameters import filter_body_fields
from similar_images.api.serializers import search as serializers
from similar_images.forms import search as forms
from similar_images.search import options as search_options
from similar_images.search.options import OptionError, SearchOptions
from tests import drawing
from tests.testapp.models import Picture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]

API = "/api/similar-images"

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


@pytest.mark.parametrize("index", range(len(OPTIONS)))
def test_options__any_two_give_an_answer(index: int, gray_pictures: list[Picture], client: Any) -> None:
    query, other = gray_pictures[0], gray_pictures[1]
    similar = [
        f"{prefix}/testapp.picture/{query.pk}/{suffix}"
        for prefix, suffix in (("/similar-images", ""), (API, "similar/"))
    ]
    searches = ["/similar-images/search/", f"{API}/search/"]
    keys = {"OTHER": str(other.pk), "QUERY": str(query.pk)}

    def fill_in(value: Any) -> Any:
        return [fill_in(each) for each in value] if isinstance(value, list) else keys.get(value, value)

    for second in OPTIONS[index:]:
        params = {name: fill_in(value) for name, value in {**OPTIONS[index], **second}.items()}
        for address in similar:
            assert client.get(address, params).status_code in (200, 400, 404), (address, params)
    params = {name: fill_in(value) for name, value in {"model": "testapp.picture", **OPTIONS[index]}.items()}
    for address in searches:
        assert client.get(address, params).status_code in (200, 400, 405), (address, params)
        assert client.post(address, {"image": drawing.file(1), **params}).status_code in (200, 400), (address, params)


# Names


@pytest.mark.parametrize(
    ("name", "near"), [("limt", "limit"), ("min_similarty", "min_similarity"), ("exclud", "exclude"), ("modes", "mode")]
)
def test_unknown_option__raises_type_error_with_the_function_and_the_nearest_name(name: str, near: str) -> None:
    item = Picture(pk=1)
    for call, caller in (
        (lambda **options: similar_images.similar_to(item, **options), "similar_to"),
        (lambda **options: similar_images.why_not(item, item, **options), "why_not"),
        (lambda **options: Picture.objects.similar_to(item, **options), "similar_to"),
    ):
        with pytest.raises(TypeError) as error:
            call(**{name: 3})
        assert str(error.value) == f"{caller}() got an unexpected keyword argument '{name}'. Did you mean '{near}'?"


def test_unknown_option__without_a_similar_name_suggests_none() -> None:
    with pytest.raises(TypeError, match=r"similar_to\(\) got an unexpected keyword argument 'zzz'\.$"):
        similar_images.similar_to(Picture(pk=1), zzz=3)


@pytest.mark.parametrize("name", ["like", "why_not", "distances", "labels", "keep"])
def test_options_of_visitors_only__are_none_of_python(name: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        similar_images.similar_to(Picture(pk=1), **{name: 1})


def test_signature__lists_the_options_of_python() -> None:
    parameters = inspect.signature(similar_images.similar_to).parameters
    assert list(parameters) == [
        "query",
        "model",
        "field",
        "queryset",
        "request",
        "for_editors",
        "text",
        "mode",
        "limit",
        "min_similarity",
        "method",
        "ranking",
        "rerank",
        "fold",
        "diversity",
        "distinct",
        "filters",
        "unlike",
        "exclude",
        "box",
        "exact",
        "indexed_before",
        "fallback",
        "min_matches",
        "explain",
    ]
    assert {p.kind for name, p in parameters.items() if name != "query"} == {inspect.Parameter.KEYWORD_ONLY}
    assert (parameters["fold"].default, parameters["mode"].default, parameters["limit"].default) == (
        True,
        "similar",
        None,
    )
    assert parameters["limit"].annotation == "int | None"
    assert list(inspect.signature(similar_images.why_not).parameters) == ["query", "other", *list(parameters)[1:]]
    assert inspect.signature(similar_images.similar_to).return_annotation == "Matches"


def test_declaration__has_the_name_type_and_default_of_each_option() -> None:
    declared = SearchOptions.declared()
    assert [option.name for option in declared.values()] == list(declared)
    assert all(option.help.endswith(".") for option in declared.values())
    limit, fold, fallback = declared["limit"], declared["fold"], declared["fallback"]
    assert (limit.types, limit.default, limit.type_name) == ((int,), None, "int or None")
    assert (fold.types, fold.default, fold.type_name) == ((bool,), True, "bool")
    assert fallback.type_name.startswith("str or ")
    assert declared["diversity"].types == (float,)


def test_defaults__are_those_of_the_docs() -> None:
    assert {name: option.default for name, option in SearchOptions.declared().items()} == {
        "model": None,
        "field": None,
        "queryset": None,
        "request": None,
        "for_editors": False,
        "text": None,
        "mode": "similar",
        "limit": None,
        "min_similarity": None,
        "method": None,
        "ranking": None,
        "rerank": None,
        "fold": True,
        "diversity": 0,
        "distinct": "",
        "filters": None,
        "like": (),
        "unlike": (),
        "exclude": (),
        "box": None,
        "exact": False,
        "indexed_before": None,
        "fallback": None,
        "min_matches": 1,
        "explain": False,
        "why_not": "",
        "distances": False,
        "labels": False,
        "keep": False,
    }


def test_surfaces__say_where_an_option_may_be_set() -> None:
    python_only = {"model", "queryset", "request", "for_editors", "text", "distinct", "exclude", "filters"}
    python_only |= {"indexed_before", "min_matches"}
    assert SearchOptions.on("python").keys() - SearchOptions.on("rest").keys() == python_only
    assert SearchOptions.on("rest").keys() - SearchOptions.on("page").keys() == {
        "exact",
        "explain",
        "why_not",
        "distances",
        "labels",
        "keep",
    }
    assert SearchOptions.on("page").keys() - SearchOptions.on("rest").keys() == set()
    assert SearchOptions.on("rest").keys() - SearchOptions.on("python").keys() == {
        "like",
        "why_not",
        "distances",
        "labels",
        "keep",
    }
    assert set(SearchOptions.on("rest", "text")) == {
        "field",
        "limit",
        "min_similarity",
        "method",
        "fold",
        "diversity",
        "fallback",
        "distances",
    }
    by_image = {*SearchOptions.on("rest", "text"), "mode", "ranking", "rerank", "like", "unlike", "box"}
    assert set(SearchOptions.on("rest", "image")) == by_image | {"labels", "keep"}
    assert set(SearchOptions.on("rest", "object")) == by_image | {"explain", "why_not", "exact"}


# Values in Python


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("limit", "3", "limit must be int or None, not '3'."),
        ("limit", 3.0, "limit must be int or None, not 3.0."),
        ("limit", True, "limit must be int or None, not True."),
        ("limit", 0, "limit must be at least 1, not 0."),
        ("limit", -1, "limit must be at least 1, not -1."),
        ("min_similarity", "70", "min_similarity must be float or None, not '70'."),
        ("min_similarity", -0.1, "min_similarity must be between 0 and 100."),
        ("min_similarity", 100.1, "min_similarity must be between 0 and 100."),
        ("min_similarity", float("nan"), "min_similarity must be between 0 and 100."),
        ("min_similarity", float("inf"), "min_similarity must be between 0 and 100."),
        ("method", 5, "method must be str or None, not 5."),
        ("mode", "nonsense", "Unknown value “nonsense” for mode. Choices: similar, copy."),
        ("mode", 5, "mode must be str, not 5."),
        ("rerank", "nonsense", "Unknown value “nonsense” for rerank. Choices: keypoints, neighbors, verifier."),
        ("fold", 1, "fold must be bool, not 1."),
        ("fold", "0", "fold must be bool, not '0'."),
        ("explain", "yes", "explain must be bool, not 'yes'."),
        ("diversity", -0.1, "diversity must be between 0 and 1."),
        ("diversity", 1.1, "diversity must be between 0 and 1."),
        ("diversity", float("nan"), "diversity must be between 0 and 1."),
        ("diversity", True, "diversity must be float, not True."),
        ("fallback", "oldest", "Unknown value “oldest” for fallback. Choices: newest, or a callable."),
        (
            "ranking",
            "embeding",
            "Enter weights such as embedding:0.8,color:0.2, or one of: product, photo, logo, best, copy.",
        ),
        ("method", ["x" * 100], f"method must be str or None, not ['{'x' * 78}."),
    ],
)
def test_values__of_a_wrong_type_or_out_of_bounds_are_refused(option: str, value: Any, message: str) -> None:
    for call in (similar_images.similar_to, Picture.objects.similar_to):
        with pytest.raises(OptionError) as error:
            call(Picture(pk=1), **{option: value})
        assert (error.value.option, str(error.value)) == (option, message)


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 1},
        {"limit": 100_000},
        {"limit": None},
        {"min_similarity": 0},
        {"min_similarity": 100},
        {"diversity": 0},
        {"diversity": 1},
        {"diversity": 0.5},
        {"diversity": None},
        {"fold": False},
        {"fold": None},
        {"mode": "copy"},
        {"ranking": {"mean": 1}},
        {"fallback": "newest"},
        {"fallback": lambda source, objects, limit: []},
    ],
)
def test_values__within_their_bounds_are_accepted(options: dict[str, Any]) -> None:
    checked = SearchOptions.from_arguments("similar_to", options)
    for name, value in options.items():
        expected = SearchOptions.declared()[name].default if value is None else value
        assert getattr(checked, name) == expected


def test_values__of_numpy_are_numbers_too() -> None:
    import numpy as np

    checked = SearchOptions.from_arguments("similar_to", {"limit": np.int64(3), "diversity": np.float32(0.5)})
    assert (checked.limit, checked.diversity) == (3, 0.5)


@pytest.mark.parametrize("queryset", [Picture, Picture.objects, [1], [Picture(pk=1), 1], "Picture"])
def test_queryset__that_is_none_is_refused_with_what_to_pass(queryset: Any) -> None:
    with pytest.raises(TypeError, match=r"^queryset must be a queryset such as Picture\.objects\.all\(\), or ob"):
        similar_images.similar_to(Picture(pk=1), queryset=queryset)


def test_ranking__as_text_has_the_weights_that_it_says() -> None:
    checked = SearchOptions.from_arguments("similar_to", {"ranking": "embedding:0.8,color:0.2", "box": "0,0,0.5,1"})
    assert (checked.ranking, checked.box) == ({"embedding": 0.8, "color": 0.2}, (0, 0, 0.5, 1))


# Combinations


@pytest.mark.parametrize(
    ("options", "examples", "option", "words"),
    [
        ({"mode": "copy", "rerank": "keypoints"}, 1, "rerank", "leave out rerank"),
        ({"mode": "copy"}, 0, "mode", "A text has no image to compare"),
        ({"rerank": "keypoints"}, 0, "rerank", "A text has no image to compare"),
        ({"mode": "copy"}, 2, "mode", "leave out box and like"),
        ({"rerank": "keypoints"}, 2, "rerank", "leave out box and like"),
        ({"mode": "copy", "box": (0, 0, 1, 1)}, 1, "mode", "leave out box and like"),
        ({"rerank": "keypoints", "diversity": 0.1}, 1, "rerank", "diversity cannot be combined"),
        ({"mode": "copy", "diversity": 0.1}, 1, "mode", "diversity cannot be combined"),
        ({"box": (0, 0, 1, 1)}, 2, "box", "part of one image"),
        ({"box": (0, 0, 1, 1)}, 0, "box", "part of one image"),
    ],
)
def test_check__refuses_options_that_make_no_sense_together(
    options: dict[str, Any], examples: int, option: str, words: str
) -> None:
    with pytest.raises(OptionError, match=words) as error:
        SearchOptions(**options).check(examples)
    assert error.value.option == option


@pytest.mark.parametrize(
    ("options", "examples"),
    [
        ({}, 0),
        ({}, 1),
        ({}, 3),
        ({"mode": "copy"}, 1),
        ({"rerank": "keypoints"}, 1),
        ({"diversity": 0.5}, 2),
        ({"box": (0, 0, 1, 1)}, 1),
        ({"box": (0, 0, 1, 1), "diversity": 0.5}, 1),
    ],
)
def test_check__accepts_options_that_do(options: dict[str, Any], examples: int) -> None:
    SearchOptions(**options).check(examples)


@pytest.mark.parametrize(
    "options", [{"mode": "nonsense"}, {"rerank": "nonsense"}, {"mode": "copy", "rerank": "keypoints"}]
)
def test_mode_and_rerank__are_checked_on_every_surface(
    gray_pictures: list[Picture], client: Any, options: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"mode|rerank"):
        similar_images.similar_to(gray_pictures[0], **options)
    answer = client.get(f"{API}/testapp.picture/{gray_pictures[0].pk}/similar/", options)
    assert (answer.status_code, set(answer.json()["errors"]) <= {"mode", "rerank"}) == (400, True)
    assert client.get(f"/similar-images/testapp.picture/{gray_pictures[0].pk}/", options).status_code == 400


@pytest.mark.parametrize("options", [{"box": "0,0,0.5,0.5"}, {"diversity": 0.5}, {"like": "other"}])
@pytest.mark.parametrize("comparing", [{"mode": "copy"}, {"rerank": "keypoints"}])
def test_mode_and_rerank__refuse_options_they_cannot_combine_with_on_every_surface(
    options: dict[str, Any], comparing: dict[str, str], gray_pictures: list[Picture], client: Any
) -> None:
    """A page or an answer that says so, not a failure, and not a search that ignores the option."""
    query, other = gray_pictures[0], gray_pictures[2]
    params = {**comparing, **(options if "like" not in options else {"like": other.pk})}
    for address in (f"{API}/testapp.picture/{query.pk}/similar/", f"/similar-images/testapp.picture/{query.pk}/"):
        answer = client.get(address, params)
        assert answer.status_code == 400
        assert "leave out" in answer.content.decode()
    examples = [query, other] if "like" in options else query
    rest = {"box": (0, 0, 0.5, 0.5)} if "box" in options else {k: v for k, v in options.items() if k != "like"}
    with pytest.raises(ValueError, match="leave out"):
        similar_images.similar_to(examples, **comparing, **rest)


def test_text__cannot_be_combined_with_mode_or_rerank(configure: Any) -> None:
    configure(METHODS={"tests.methods.SlowReader": {}})
    for options in ({"mode": "copy"}, {"rerank": "keypoints"}):
        with pytest.raises(ValueError, match="no image to compare"):
            similar_images.similar_to(text="a chair", model=Picture, **options)


# Texts of visitors


@pytest.mark.parametrize(
    ("text", "ranking"),
    [
        ("embedding:0.8,color:0.2", {"embedding": 0.8, "color": 0.2}),
        (" embedding : 2 , color:1e-3", {"embedding": 2, "color": 0.001}),
        ("photo", "photo"),
    ],
)
def test_parse_ranking__reads_weights_and_presets(text: str, ranking: Any) -> None:
    assert search_options.parse_ranking(text) == ranking


@pytest.mark.parametrize("text", ["nonsense", "embedding", "embedding:x", "embedding:1,", "a:1:2", "", ":"])
def test_parse_ranking__refuses_anything_else(text: str) -> None:
    with pytest.raises(ValueError, match=r"Enter weights such as embedding:0\.8,color:0\.2, or one of: product, photo"):
        search_options.parse_ranking(text)


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 1, 1),
        "0,0,1,1",
        " 0.25, 0.5 ,0.75,0.5",
        (0.5, 0.5, 0.5, 0.5),
        (0, 0, 1e-9, 1e-9),
        (0.5, 0, 0.5000009, 1),
        (0, 0.5, 1, 0.5000009),
    ],
)
def test_parse_box__accepts_parts_of_the_image_but_for_rounding(box: Any) -> None:
    numbers = tuple(map(float, box.split(","))) if isinstance(box, str) else box
    assert search_options.parse_box(box) == numbers


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 0, 1),
        (0, 0, 1, 0),
        (0, 0, -1, 1),
        (-0.1, 0, 1, 1),
        (0, -0.1, 1, 1),
        (0, 0, 1.1, 1),
        (0, 0, 1, 1.1),
        (0.5, 0, 0.500002, 1),
        (0, 0.5, 1, 0.500002),
        (0, 0, float("nan"), 1),
        (0, 0, 1, float("inf")),
        (0, 0, 1),
        (0, 0, 1, 1, 1),
        "abcd",
        "0,0,1",
        "a,b,c,d",
        5,
        (None, 0, 1, 1),
    ],
)
def test_parse_box__refuses_anything_else(box: Any) -> None:
    with pytest.raises(ValueError, match=r"box"):
        search_options.parse_box(box)
    with pytest.raises(ValueError, match="box"):
        similar_images.similar_to(Picture(pk=1), box=box)


def test_bounds__are_those_of_the_docs() -> None:
    assert (search_options.MAX_TEXT_LENGTH, search_options.MAX_EXAMPLES) == (300, 10)


# Forms and REST


def parameters(client: Any, query: str) -> dict[str, dict[str, Any]]:
    """Return the schemas of the parameters of a search by "object", "image" or "text" in the OpenAPI document."""
    schema = client.get(f"{API}/schema/").json()
    if query == "image":
        schemas = schema["components"]["schemas"]
        return {
            name: {**schemas.get(field.get("$ref", "").rpartition("/")[2], {}), **field}
            for name, field in schemas["Search"]["properties"].items()
        }
    path = f"{API}/search/" if query == "text" else f"{API}/{{model}}/{{pk}}/similar/"
    listed = schema["paths"][path]["get"]["parameters"]
    return {
        parameter["name"]: {**parameter["schema"], "description": parameter.get("description")} for parameter in listed
    }


@pytest.mark.parametrize("query", ["object", "image", "text"])
def test_schema__has_every_option_of_rest_with_its_bounds_and_choices(query: str, client: Any, configure: Any) -> None:
    configure(MAX_LIMIT=77)
    if query == "text":
        configure(METHODS={"tests.methods.Reader": {}}, RANKING={"mean": 1})
    documented = parameters(client, query)
    declared = SearchOptions.on("rest", query)
    more = {"object": {"model", "pk", "cursor"}, "image": {"image", "model"}, "text": {"text", "model", "cursor"}}[
        query
    ]
    assert documented.keys() == declared.keys() | more | filter_body_fields().keys()
    for name, option in declared.items():
        assert documented[name]["description"].startswith(option.help), name
    assert (documented["limit"]["minimum"], documented["limit"]["maximum"]) == (1, 77)
    assert (documented["min_similarity"]["minimum"], documented["min_similarity"]["maximum"]) == (0, 100)
    assert (documented["diversity"]["minimum"], documented["diversity"]["maximum"]) == (0, 1)
    assert [documented[name]["type"] for name in ("limit", "min_similarity", "diversity", "distances")] == [
        "integer",
        "number",
        "number",
        "boolean",
    ]
    assert "method" in documented
    if query == "text":
        assert documented["text"]["maxLength"] == 300
    else:
        assert documented["unlike"]["type"] == "array"
        assert documented["like"]["maxItems"] == documented["unlike"]["maxItems"] == 10


def test_schema__has_the_choices_of_options(client: Any) -> None:
    documented = parameters(client, "object")
    assert documented["mode"]["enum"] == ["similar", "copy"]
    assert documented["rerank"]["enum"] == ["keypoints", "neighbors"]
    assert documented["fallback"]["enum"] == ["newest"]
    assert documented["fold"]["type"] == "boolean"


def test_schema__describes_matches(client: Any) -> None:
    schema = client.get(f"{API}/schema/").json()
    assert {"folded", "fallback"} <= schema["components"]["schemas"]["Match"]["properties"].keys()


@pytest.mark.parametrize(
    ("form", "surface", "query"),
    [
        (forms.SearchOptionsForm, "page", "object"),
        (forms.RestSimilarForm, "rest", "object"),
        (forms.SearchForm, "page", "image"),
        (forms.RestSearchForm, "rest", "image"),
        (forms.TextForm, "page", "text"),
        (forms.RestTextForm, "rest", "text"),
    ],
)
def test_forms__take_every_option_of_their_surface(form: Any, surface: Any, query: Any, configure: Any) -> None:
    configure(MAX_LIMIT=77)
    fields = form({}).fields
    assert SearchOptions.on(surface, query).keys() <= fields.keys()
    assert not (SearchOptions.on("python").keys() - SearchOptions.on("rest").keys() - {"text", "model"}) & fields.keys()
    assert (fields["limit"].min_value, fields["limit"].max_value) == (1, 77)
    assert (fields["min_similarity"].min_value, fields["min_similarity"].max_value) == (0, 100)
    assert (fields["diversity"].min_value, fields["diversity"].max_value) == (0, 1)
    assert [value for value, _label in fields["fallback"].choices] == ["newest"]
    assert not fields["limit"].required


def test_forms__show_some_options_and_hide_the_others() -> None:
    fields = forms.SearchOptionsForm({}).fields
    visible = [name for name, field in fields.items() if not field.widget.is_hidden]
    assert visible == ["mode", "limit", "min_similarity", "method", "fold"]
    assert fields["limit"].widget.attrs["placeholder"] == 12
    assert fields["min_similarity"].widget.attrs["placeholder"] == "0"
    assert forms.SearchOptionsForm({"mode": "copy"}).fields["min_similarity"].widget.attrs["placeholder"] == "70"


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ({}, {}),
        ({"limit": "5", "min_similarity": "70.5"}, {"limit": 5, "min_similarity": 70.5}),
        ({"fold": "0"}, {"fold": False}),
        ({"fold": "1"}, {"fold": True}),
        ({"ranking": "mean:2"}, {"ranking": {"mean": 2.0}}),
        ({"box": "0,0,1,0.5"}, {"box": (0, 0, 1, 0.5)}),
        ({"mode": "copy"}, {"mode": "copy", "limit": 12}),
        ({"like": ["1"], "unlike": ["2"], "why_not": "3", "distances": "1"}, {}),
    ],
)
def test_forms__make_arguments_of_what_was_entered(data: dict[str, Any], options: dict[str, Any]) -> None:
    from django.http import QueryDict

    query = QueryDict(mutable=True)
    for name, value in data.items():
        query.setlist(name, value if isinstance(value, list) else [value])
    form = forms.RestSimilarForm(query)
    assert form.is_valid(), form.errors
    expected = {"explain": False, **options}
    assert {name: value for name, value in form.search_options().items() if name != "explain" or value} == {
        name: value for name, value in expected.items() if name != "explain"
    }


def test_serializers__and_forms_agree_on_the_options() -> None:
    for serializer, form in (
        (serializers.SimilarSerializer, forms.RestSimilarForm),
        (serializers.SearchSerializer, forms.RestSearchForm),
    ):
        assert serializer().get_fields().keys() - filter_body_fields().keys() == form({}).fields.keys()
