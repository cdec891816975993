"""The base of the endpoints: the same whatever the project's REST_FRAMEWORK setting says.

Who may call, and how often, is the project's own setting: its authentication, permissions and throttles hold here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from django import forms
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.openapi import AutoSchema
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.metadata import SimpleMetadata
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .. import access
from ..search.filters import get_filter_names, get_parameter_widgets
from ..sources.source import ImageSource
from .bodies import FlatJSONParser, check_body_size, describe_body_error
from .caching import make_cacheable
from .parameters import check_format, find_repeated_names, find_unknown_names
from .problems import TooManyRequests, handle_exception

CheckedForm = TypeVar("CheckedForm", bound=forms.Form)

OWN_PATH_NAMES = ("model", "pk", "token", "name")
"""Names that the addresses of the endpoints capture themselves."""


class ApiView(APIView):
    """Base of the endpoints."""

    schema = AutoSchema()
    parser_classes = [FlatJSONParser, FormParser, MultiPartParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = DefaultContentNegotiation
    metadata_class = SimpleMetadata
    versioning_class = None

    max_uploads = 0
    """Number of images in a body, at most."""

    costly_action: access.Action | None = None
    """The costly work that the whole endpoint is for; an endpoint whose action is off does not exist."""

    @classmethod
    def is_off(cls) -> bool:
        """Tell whether this site does without the endpoint."""
        return cls.costly_action is not None and access.is_off(cls.costly_action)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer a request, without what the project's own part of the address captures, such as a version."""
        own = {name: kwargs[name] for name in OWN_PATH_NAMES if name in kwargs}
        response: HttpResponseBase = super().dispatch(request, **own)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a body that is too large before authentication reads it, and all that the REST framework refuses."""
        if request.method not in ("GET", "HEAD"):
            check_body_size(request, self.max_uploads)
        super().initial(request, *args, **kwargs)
        if self.is_off():
            raise Http404
        if self.costly_action and not access.is_allowed(get_django_request(request), self.costly_action):
            self.permission_denied(request)
        check_format(request.query_params)

    def admit(self, request: Request, actions: list[access.Action]) -> None:
        """Count a request for costly work.

        Raises:
            PermissionDenied, NotAuthenticated: the visitor may not ask for it.
            TooManyRequests: the visitor has done so too often.
        """
        try:
            access.admit(get_django_request(request), actions)
        except access.AccessDenied as error:
            if any(map(access.is_off, actions)):  # to log in would not help
                raise PermissionDenied(str(error)) from None
            self.permission_denied(request, str(error))
        except access.RateExceeded as error:
            raise TooManyRequests(str(error), error.retry_after) from None

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the answer with what caches have to know, or a 304 in its place."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if not isinstance(response, Response):
            return response
        is_personal = bool(getattr(getattr(request, "_user", None), "is_authenticated", False))
        return make_cacheable(self.request._request, response, is_personal=is_personal)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Answer in JSON, whatever is accepted: there is nothing else."""
        return super().perform_content_negotiation(request, force=True)

    def get_exception_handler(self) -> Any:
        """Return the handler that makes problem details of exceptions."""
        return handle_exception

    def handle_exception(self, exc: Exception) -> Response:
        """Return the answer to an exception, also to those that Django raises about a body."""
        if error := describe_body_error(exc):
            self.request.user = AnonymousUser()  # to authenticate for the answer would read the body again
        return super().handle_exception(error or exc)


def get_django_request(request: Request) -> HttpRequest:
    """Return Django's own request, with the user that the REST framework authenticated."""
    request._request.user = request.user or AnonymousUser()  # UNAUTHENTICATED_USER may be None
    return request._request


def reverse_beside(request: HttpRequest, name: str, own: Mapping[str, str]) -> str:
    """Return the address of another endpoint, under the namespaces and the prefix of that of a request."""
    match: Any = request.resolver_match
    others = {*OWN_PATH_NAMES, *match.extra_kwargs}
    captured = {key: value for key, value in match.kwargs.items() if key not in others}
    urlconf = getattr(request, "urlconf", None)
    return reverse(":".join([*match.namespaces, name]), kwargs={**captured, **own}, urlconf=urlconf)


def check_form(
    form: CheckedForm, known: Collection[str] | None = None, *, source: ImageSource | None = None
) -> CheckedForm:
    """Return a form that is valid, and was given nothing but its own fields, or the `known` ones, and each once.

    Args:
        form: the form.
        known: names of its fields.
        source: the source that is searched, whose filters may be given, too.

    Raises:
        ValidationError: it is not; with the errors by field.
    """
    filters = get_parameter_widgets(source) if source else {}
    given = [name for name in (*form.data, *form.files) if name not in filters]
    names = [*(form.fields if known is None else known), *(get_filter_names(source) if source else [])]
    widgets = {name: field.widget for name, field in form.fields.items()}
    errors = find_unknown_names(given, names) | find_repeated_names(form.data, form.files, {**filters, **widgets})
    if errors or not form.is_valid():
        raise ValidationError(errors | {name: [str(error) for error in errors] for name, errors in form.errors.items()})
    return form
