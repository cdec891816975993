"""Whatever a project's REST_FRAMEWORK setting says, the endpoints answer the same, and so does their schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.host_project import host_project


@pytest.fixture(scope="module")
def ask(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with django_db_blocker.unblock(), host_project(tmp_path_factory.mktemp("host")) as answers:
        yield answers


@pytest.fixture(scope="module")
def plain(ask: Any) -> dict[str, Any]:
    """The answers in a project with README's lines only."""
    return dict(ask())


def test_readme_lines__are_enough(plain: dict[str, Any]) -> None:
    status, _type, _allow, body = plain["schema"]
    assert status == 200
    schema = json.loads(body)
    assert set(schema["paths"]) == {
        f"/api/similar-images/{path}/"
        for path in (
            "search",
            "compare",
            "status",
            "{model}/{pk}/similar",
            "{model}/{pk}/mark",
            "{model}/{pk}/explanation",
            "{model}/similar/batch",
        )
    }
    assert [row["pk"] for row in json.loads(plain["similar"][3])["results"]] == ["2", "3"]
    statuses = {name: answer[0] for name, answer in plain.items() if isinstance(answer, list)}
    assert statuses == {
        "similar": 200,
        "limit": 200,
        "as a browser": 200,
        "bad": 400,
        "unknown": 400,
        "page": 400,
        "hidden": 404,
        "search": 200,
        "no image": 400,
        "json": 415,
        "compare": 200,
        "status": 200,
        "not allowed": 405,
        "options": 200,
        "schema": 200,
        "picture": 200,
    }
    for name, status in statuses.items():
        if status >= 400:
            assert plain[name][1] == "application/problem+json", name
            assert json.loads(plain[name][3])["status"] == status


VERSIONING = "rest_framework.versioning"

HOSTILE = {
    "schema class of their own": {"DEFAULT_SCHEMA_CLASS": "rest_framework.schemas.openapi.AutoSchema"},
    "schema class of this kind": {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"},
    "no schema class": {"DEFAULT_SCHEMA_CLASS": None},
    "parsers, renderers, and handlers": {
        "DEFAULT_PARSER_CLASSES": ["theirs.Nonsense"],
        "DEFAULT_RENDERER_CLASSES": ["theirs.Loud", "rest_framework.renderers.BrowsableAPIRenderer"],
        "DEFAULT_CONTENT_NEGOTIATION_CLASS": "theirs.Stubborn",
        "DEFAULT_METADATA_CLASS": "theirs.Metadata",
        "DEFAULT_PAGINATION_CLASS": "theirs.Pages",
        "PAGE_SIZE": 1,
        "EXCEPTION_HANDLER": "theirs.handle",
        "NON_FIELD_ERRORS_KEY": "oops",
        "UPLOADED_FILES_USE_URL": False,
        "COERCE_DECIMAL_TO_STRING": False,
        "DATETIME_FORMAT": "%d.%m.",
        "TEST_REQUEST_RENDERER_CLASSES": ["theirs.Loud"],
        "TEST_REQUEST_DEFAULT_FORMAT": "loud",
        "FORMAT_SUFFIX_KWARG": "model",
    },
    "nobody is authenticated": {"DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_setting_of_the_project__changes_no_answer(name: str, ask: Any, plain: dict[str, Any]) -> None:
    answers = ask(REST_FRAMEWORK=HOSTILE[name])
    if name.startswith("nobody"):  # the document says how one is authenticated
        assert answers.pop("schema")[0] == 200
    assert answers == {key: value for key, value in plain.items() if key in answers}


@pytest.mark.parametrize(
    ("versioning", "project"),
    [
        ("URLPathVersioning", {"prefix": "<str:version>/", "base": "/v2/api/similar-images"}),
        ("NamespaceVersioning", {"prefix": "v2/", "namespace": "v2", "base": "/v2/api/similar-images"}),
        ("AcceptHeaderVersioning", {"headers": {"accept": "application/json; version=v2"}}),
        ("HostNameVersioning", {"headers": {"host": "v2.example.com"}}),
        ("QueryParameterVersioning", {"query": "version=v2"}),
    ],
)
def test_versioning_of_the_project__changes_no_answer(
    versioning: str, project: dict[str, Any], ask: Any, plain: dict[str, Any]
) -> None:
    setting = {
        "DEFAULT_VERSIONING_CLASS": f"{VERSIONING}.{versioning}",
        "ALLOWED_VERSIONS": ["v1", "v2"],
        "DEFAULT_VERSION": "v1",
    }
    answers = ask(REST_FRAMEWORK=setting, **project)
    schema, plain_schema = answers.pop("schema"), plain["schema"]
    paths, plain_paths = (json.loads(body)["paths"] for *_, body in (schema, plain_schema))
    assert schema[0] == plain_schema[0]
    assert len(paths) == len(plain_paths)
    host = project.get("headers", {}).get("host", "testserver")
    answers = json.loads(json.dumps(answers).replace(host, "testserver"))
    assert answers == {name: answer for name, answer in plain.items() if name != "schema"}


def test_settings_of_drf_spectacular__change_no_schema(ask: Any, plain: dict[str, Any]) -> None:
    setting = {
        "POSTPROCESSING_HOOKS": ["theirs.hook"],
        "PREPROCESSING_HOOKS": ["theirs.hook"],
        "CAMELIZE_NAMES": True,
        "COMPONENT_SPLIT_REQUEST": True,
        "SCHEMA_PATH_PREFIX": "/api",
        "SCHEMA_PATH_PREFIX_TRIM": True,
        "TITLE": "Theirs",
        "VERSION": "7",
        "APPEND_COMPONENTS": {"schemas": {"Theirs": {"type": "string"}}},
        "SERVE_PUBLIC": False,
        "SERVE_URLCONF": "theirs",
        "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAdminUser"],
        "SERVE_AUTHENTICATION": [],
    }
    assert ask(SPECTACULAR_SETTINGS=setting)["schema"] == plain["schema"]


def test_authentication_and_permissions_of_the_project__hold(ask: Any, plain: dict[str, Any]) -> None:
    setting = {
        "DEFAULT_AUTHENTICATION_CLASSES": ["theirs.Header"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    }
    refused = ask(REST_FRAMEWORK=setting)
    assert {answer[0] for answer in refused.values() if isinstance(answer, list)} == {403}
    answers = ask(REST_FRAMEWORK=setting, headers={"X-User": "admin"})
    same = ("similar", "search", "compare", "hidden", "bad")
    assert {name: answers[name] for name in same} == {name: plain[name] for name in same}


def test_schema__has_an_example_of_every_answer_and_error(plain: dict[str, Any]) -> None:
    schema = json.loads(plain["schema"][3])
    assert schema["openapi"].startswith("3.1")
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (path, method)
            for status, response in operation["responses"].items():
                kind = "application/problem+json" if status >= "400" else "application/json"
                assert response["content"][kind]["examples"], (path, method, status)
