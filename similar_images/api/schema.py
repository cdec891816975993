"""The OpenAPI document of these endpoints alone, whatever else the project serves and sets."""

from __future__ import annotations

from threading import Lock
from typing import Any, get_args

from django.urls import get_script_prefix
from django.utils.translation import get_language, override
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2
from drf_spectacular.settings import SPECTACULAR_DEFAULTS, patched_settings, spectacular_settings
from rest_framework.request import Request
from rest_framework.response import Response

from ..search.explain import ReasonCode
from .base import ApiView
from .documentation import TAG, leave_out
from .parameters import check_names
from .serializers.comparison import RELATIONS
from .serializers.search import IMAGE_STATUSES
from .serializers.status import SCANS

PACKAGE = __name__.rpartition(".")[0]

PROJECT_SETTINGS = ("AUTHENTICATION_WHITELIST", "SCHEMA_PATH_PREFIX_INSERT", "SECURITY", "SERVERS")
"""Settings of drf-spectacular that say how these endpoints are reached too; OAUTH2_* are others."""

_settings_lock = Lock()


class OwnEndpointEnumerator(EndpointEnumerator):
    """Finds the endpoints of this app; those of others are not even looked at."""

    def should_include_endpoint(self, path: str, callback: Any) -> bool:
        """Tell whether a view is one of this app, documented, and not off."""
        view: Any = getattr(callback, "cls", None)
        is_own = isinstance(view, type) and view.__module__.startswith(PACKAGE)
        return is_own and not view.is_off() and super().should_include_endpoint(path, callback)


class ApiSchemaGenerator(SchemaGenerator):
    """Generates the document with the names of path parameters as they are."""

    endpoint_inspector_cls = OwnEndpointEnumerator

    def coerce_path(self, path: str, method: str, view: Any) -> str:
        """Keep the path: the key is called pk here, as in the answers."""
        return path


class SchemaView(ApiView):
    """The OpenAPI document, as JSON.

    drf-spectacular's own view can't be imported where DEFAULT_SCHEMA_CLASS is None.
    """

    renderer_classes = [OpenApiJsonRenderer, OpenApiJsonRenderer2]

    @leave_out
    def get(self, request: Request) -> Response:
        """Return the document, in the language `lang`, or else in that of the request."""
        check_names(request.query_params, ["lang"])
        with override(request.query_params.get("lang") or get_language()):
            return Response(generate_document(request, getattr(request._request, "urlconf", None)))


def generate_document(request: Request | None = None, urlconf: Any = None) -> dict[str, Any]:
    """Return the OpenAPI document of the endpoints in a URL conf, that of the settings by default."""
    generator: Any = ApiSchemaGenerator
    with _settings_lock, patched_settings(_document_settings()):  # they are patched for all threads
        return _say_what_is_refused(dict(generator(urlconf=urlconf).get_schema(request=request, public=True)))


def _say_what_is_refused(document: dict[str, Any]) -> dict[str, Any]:
    """Say that other fields of a body are refused, and that an empty text in a query is not."""
    for operation in (each for path in document["paths"].values() for each in path.values()):
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query" and not parameter.get("required"):
                parameter["allowEmptyValue"] = True
        for content in operation.get("requestBody", {}).get("content", {}).values():
            name = content["schema"]["$ref"].rpartition("/")[2]
            document["components"]["schemas"][name]["additionalProperties"] = False
    return document


def _document_settings() -> dict[str, Any]:
    """Return drf-spectacular's settings for the document: its defaults, but for what the project says of access."""
    pinned = {
        name: value
        for name, value in SPECTACULAR_DEFAULTS.items()
        if not name.startswith(("SERVE_", "OAUTH2_")) and name not in (*PROJECT_SETTINGS, "DEFAULT_GENERATOR_CLASS")
    }
    prefix = get_script_prefix().rstrip("/")
    servers = spectacular_settings.SERVERS or ([{"url": prefix}] if prefix else [])
    return {
        **pinned,
        "OAS_VERSION": "3.1.0",
        "TITLE": "Similar images",
        "DESCRIPTION": "Items that look alike, images compared, and editors' marks.",
        "VERSION": "1",
        "SERVERS": servers,
        "TAGS": [{"name": TAG}],
        "ENUM_NAME_OVERRIDES": {
            "RelationEnum": RELATIONS,
            "ImageStatusEnum": IMAGE_STATUSES,
            "ScanEnum": SCANS,
            "ReasonCodeEnum": get_args(ReasonCode),
        },
        # Names alone: what they mean is said where they are used.
        "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    }
