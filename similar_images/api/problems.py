"""Errors as problem details (RFC 9457), whatever the project's own exception handler makes of them elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from .. import registry
from ..imaging.timeouts import SearchTimeout

PROBLEM_TYPE = "application/problem+json"


class ItemNotFound(exceptions.NotFound):
    """There is no such item, or none that the visitor may see: 404, the same for both."""

    default_detail = gettext_lazy("No item with this ID.")


class SearchTimedOut(exceptions.APIException):
    """A search took too long: 503, with a sentence that says what to do."""

    status_code = 503
    default_code = "timeout"


class TooManyRequests(exceptions.APIException):
    """The visitor has asked for too much costly work lately: 429, with the seconds to wait."""

    status_code = 429
    default_code = "throttled"

    def __init__(self, detail: str, wait: int | None) -> None:
        super().__init__(detail)
        self.wait = wait


@contextmanager
def report_missing_source() -> Iterator[None]:
    """Make errors of the request of those that the registry raises about a model, or its image field.

    Raises:
        ItemNotFound: the model has no source.
        ValidationError: the field that is named is none of its image fields, or none is named of several.
    """
    try:
        yield
    except (registry.AmbiguousField, registry.UnknownField) as error:
        is_unknown = isinstance(error, registry.UnknownField)
        names = _("Name one of the image fields: %(fields)s.") % {"fields": ", ".join(error.fields)}
        message = f"{_('There is no image field of this name.')} {names}" if is_unknown else names
        raise exceptions.ValidationError({"field": [message]}) from None
    except registry.NotRegistered:
        raise ItemNotFound from None


def handle_exception(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return the answer to an exception; None for one that is an error of the server."""
    if isinstance(error, Http404):
        error = ItemNotFound()
    elif isinstance(error, DjangoPermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, SearchTimeout):
        error = SearchTimedOut(str(error))
    if not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    headers = {}
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    data = describe_problem(error.status_code, error.detail)
    return Response(data, status=error.status_code, headers=headers, content_type=PROBLEM_TYPE)


def describe_problem(status: int, detail: Any) -> dict[str, Any]:
    """Return the problem details of an error, with `errors` by field where it is about fields."""
    errors = _errors_by_field(detail)
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error",
        "status": status,
        "detail": _summarize(errors) if errors else str(detail),
    }
    return {**problem, "errors": errors} if errors else problem


def _errors_by_field(detail: Any) -> dict[str, list[str]]:
    """Return messages by field; those of a list, which a permission or throttle of the project may raise, by none."""
    if isinstance(detail, list):
        detail = {api_settings.NON_FIELD_ERRORS_KEY: detail}
    if not isinstance(detail, dict):
        return {}
    return {
        str(name): [str(message) for message in (messages if isinstance(messages, list) else [messages])]
        for name, messages in detail.items()
    }


def _summarize(errors: Mapping[str, list[str]]) -> str:
    """Return all messages as one text, those that do not quote their field with its name before."""
    texts = []
    for name, messages in errors.items():
        is_named = name.strip("_") == "all" or name == api_settings.NON_FIELD_ERRORS_KEY
        texts += [m if is_named or f"“{name}”" in m else f"{name}: {m}" for m in messages]
    return " ".join(texts)
