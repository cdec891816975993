"""REST: matches of an object or of an upload, marks of editors, two pictures compared, and what is indexed.

Who may call is the project's own REST_FRAMEWORK setting; what comes back is each source's `visible`.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django import forms
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException, NotFound, PermissionDenied, Throttled, ValidationError
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .. import access, comparison_results, marks, permissions, registry, status
from ..comparison import Incomparable
from ..forms.comparison import CompareForm
from ..forms.mark import MarkForm
from ..forms.search import RestSearchForm, RestSimilarForm, RestTextForm, SearchOptionsForm
from ..image_labels import labels
from ..imaging.decode import UnreadableImage
from ..imaging.timeouts import SearchTimeout
from ..models import IndexedImage
from ..search.explain import unseen_object, why_not
from ..search.matches import similar_to
from ..views import CachedImageView
from .bodies import FlatJSONParser, check_body_size, describe_body_error
from .serializers.comparison import CompareSerializer, ComparisonSerializer
from .serializers.search import (
    MarkedSerializer,
    MarkSerializer,
    MatchesSerializer,
    SearchSerializer,
    SimilarSerializer,
    TextSerializer,
)
from .serializers.status import StatusSerializer

PATH_PARAMETERS = [
    OpenApiParameter("model", str, OpenApiParameter.PATH, description="app_label.model"),
    OpenApiParameter("pk", str, OpenApiParameter.PATH),
]
FIELD_PARAMETER = OpenApiParameter("field", str, description="The image field, where the model has several.")

CheckedForm = TypeVar("CheckedForm", bound=forms.Form)


class SearchTimedOut(APIException):
    """A search took too long: 503, with a sentence that says what to do."""

    status_code = 503
    default_code = "timeout"


class ApiView(APIView):
    """Base of these endpoints, the same whatever the project's default parsers and schema class are."""

    schema = AutoSchema()
    parser_classes = [FlatJSONParser, FormParser, MultiPartParser]

    max_uploads = 0
    """Number of images in a body, at most."""

    costly_action: access.Action | None = None
    """What all of the endpoint is for; an endpoint whose action is off does not exist."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a body that is too large before authentication reads it, and all that the REST framework refuses."""
        if request.method not in ("GET", "HEAD"):
            check_body_size(request, self.max_uploads)
        super().initial(request, *args, **kwargs)
        if self.costly_action and access.is_off(self.costly_action):
            raise NotFound
        if self.costly_action and not access.is_allowed(_django_request(request), self.costly_action):
            self.permission_denied(request)

    def admit(self, request: Request, actions: list[access.Action]) -> None:
        """Count a request for costly work.

        Raises:
            PermissionDenied, NotAuthenticated: the visitor may not ask for it.
            Throttled: the visitor has done so too often.
        """
        try:
            access.admit(_django_request(request), actions)
        except access.AccessDenied as error:
            self.permission_denied(request, str(error))
        except access.RateExceeded as error:
            raise Throttled(error.retry_after) from None

    def handle_exception(self, exc: Exception) -> Response:
        """Return the answer to an exception, also to those that Django raises about a body."""
        if error := describe_body_error(exc):
            self.request.user = AnonymousUser()  # to authenticate for the answer would read the body again
        return super().handle_exception(error or exc)


class SimilarView(ApiView):
    """The matches of an object."""

    @extend_schema(
        operation_id="similar", parameters=[*PATH_PARAMETERS, SimilarSerializer], responses=MatchesSerializer
    )
    def get(self, request: Request, model: str, pk: str) -> Response:
        """Find the objects that look like one object, best first."""
        form = _check(RestSimilarForm(request.query_params))
        options = form.search_options()
        visitor = _django_request(request)
        source = _get_source(model, options.get("field"))
        item = source.get_visible(visitor, pk)
        if item is None:
            raise NotFound
        like, unlike = form.examples(source, visitor)
        _check(form)
        if actions := form.costly_actions:
            self.admit(request, actions)
        query, options = [item, *like], {**options, "unlike": unlike, "request": visitor}
        answer: dict[str, Any] = {
            "query": {"pk": str(item.pk), "status": IndexedImage.objects.get_status(source, item.pk)}
        }
        try:
            answer["results"] = similar_to(query, **options)
            if key := form.cleaned_data["why_not"]:
                other = source.get_visible(visitor, key)
                answer["why_not"] = (
                    why_not(query, other, **options) if other is not None else unseen_object(visitor, source, key)
                )
        except UnreadableImage as error:
            raise ValidationError({"box": [str(error)]}) from None
        except SearchTimeout as error:
            raise SearchTimedOut(str(error)) from None
        return _respond(request, form, source, answer)


class MarkView(ApiView):
    """An editor's word on an object and another one."""

    @extend_schema(operation_id="mark", parameters=PATH_PARAMETERS, request=MarkSerializer, responses=MarkedSerializer)
    def post(self, request: Request, model: str, pk: str) -> Response:
        """Mark two objects as similar, or as not similar: then neither comes back as the other's match. For editors."""
        return self._mark(request, model, pk)

    @extend_schema(
        operation_id="unmark",
        parameters=[*PATH_PARAMETERS, OpenApiParameter("other", str, required=True), FIELD_PARAMETER],
        responses={200: MarkedSerializer},
    )
    def delete(self, request: Request, model: str, pk: str) -> Response:
        """Remove the mark of two objects. For editors."""
        return self._mark(request, model, pk, is_removal=True)

    def _mark(self, request: Request, model: str, pk: str, *, is_removal: bool = False) -> Response:
        visitor = _django_request(request)
        if not permissions.can_mark(visitor, _get_source(model)):
            raise PermissionDenied
        data: Any = request.query_params if is_removal else request.data
        values = _check(MarkForm(data)).cleaned_data
        source = _get_source(model, values["field"] or None)
        a, b = (source.get_visible(visitor, key) for key in (pk, values["other"]))
        if a is None or b is None:
            raise NotFound
        alike = None if is_removal else values["alike"]
        if alike is None and not is_removal:
            raise ValidationError({"alike": [_("Must be true or false.")]})
        try:
            if alike is None:
                marks.unmark(a, b, field=source.field_name)
            else:
                marks.mark(a, b, alike=alike, field=source.field_name, user=request.user)
        except ValueError as error:
            raise ValidationError({"other": [str(error)]}) from None
        answer = {"model": source.model._meta.label_lower, "pk": a.pk, "other": b.pk, "alike": alike}
        return Response(MarkedSerializer(answer).data)


class SearchView(ApiView):
    """The matches of a text, or of an upload."""

    costly_action = "search_by_picture"
    max_uploads = 1
    parser_classes = [MultiPartParser]

    @extend_schema(operation_id="search_text", parameters=[TextSerializer], responses=MatchesSerializer)
    def get(self, request: Request) -> Response:
        """Find the objects whose images fit a text, best first; needs a method with a text encoder."""
        form = _check(RestTextForm(request.query_params))
        options = form.search_options()
        self.admit(request, form.costly_actions)
        try:
            matches = similar_to(request=_django_request(request), **options)
        except SearchTimeout as error:
            raise SearchTimedOut(str(error)) from None
        query = {"text": options["text"], "status": "indexed"}
        return _respond(request, form, form.source, {"query": query, "results": matches})

    @extend_schema(operation_id="search", request=SearchSerializer, responses=MatchesSerializer)
    def post(self, request: Request) -> Response:
        """Find the objects that look like an uploaded image, best first; the upload is not stored."""
        form = _check(RestSearchForm(request.data, request.FILES))
        visitor = _django_request(request)
        query: dict[str, Any] = {"status": "indexed"}
        image = form.cleaned_data["image"]
        like, unlike = form.examples(form.source, visitor)
        _check(form)
        self.admit(request, form.costly_actions)
        try:
            matches = similar_to([image, *like], unlike=unlike, request=visitor, **form.search_options())
            if form.cleaned_data["labels"]:
                image.seek(0)
                query["labels"] = labels(image)
        except UnreadableImage as error:
            raise ValidationError({"image": [str(error)]}) from None
        except SearchTimeout as error:
            raise SearchTimedOut(str(error)) from None
        return _respond(request, form, form.source, {"query": query, "results": matches})


class CompareView(ApiView):
    """Two images compared."""

    costly_action = "compare"
    max_uploads = 2
    parser_classes = [MultiPartParser, FormParser]

    @extend_schema(operation_id="compare", request=CompareSerializer, responses=ComparisonSerializer)
    def post(self, request: Request) -> Response:
        """Compare two images, each an upload or that of an object, by many measures."""
        visitor = _django_request(request)
        data = _check(CompareForm(request.POST, request.FILES, request=visitor)).cleaned_data
        self.admit(request, ["compare"])
        try:
            result = comparison_results.run_comparison(
                data["a"], data["b"], data["measures"], _cached_image_url, visitor
            )
        except Incomparable as error:
            raise ValidationError({error.which: [error.reason]}) from None
        except SearchTimeout as error:
            raise SearchTimedOut(str(error)) from None
        return Response(ComparisonSerializer(result, context={"request": request}).data)


class CachedImageApiView(ApiView):
    """An image that explains a comparison, to those who may compare; read from the cache, so it is not throttled."""

    costly_action = "compare"
    throttle_classes = []

    @extend_schema(exclude=True)
    def get(self, request: Request, token: str, name: str) -> HttpResponse:
        """Return the PNG file, as the page's own view does, to the user that the REST framework authenticated."""
        return CachedImageView().get(_django_request(request), token, name)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Accept any Accept header, as the answer is no JSON."""
        return super().perform_content_negotiation(request, force=True)


class StatusView(ApiView):
    """Status of the index."""

    @extend_schema(operation_id="status", responses=StatusSerializer)
    def get(self, request: Request) -> Response:
        """Count the images of every source by status: of objects that the visitor may see, or view in the admin."""
        return Response(StatusSerializer(status.index_status(_django_request(request))).data)


def _django_request(request: Request) -> HttpRequest:
    """Return Django's own request, with the user that the REST framework authenticated."""
    request._request.user = request.user
    return request._request


def _get_source(model: str, field: str | None = None) -> registry.ImageSource:
    try:
        return registry.get_source(model, field)
    except registry.NotRegistered:
        raise NotFound from None


def _cached_image_url(token: str, name: str) -> str:
    return reverse("similar_images_api:picture", args=[token, name])


def _check(form: CheckedForm) -> CheckedForm:
    if not form.is_valid():
        raise ValidationError({name: [str(error) for error in errors] for name, errors in form.errors.items()})
    return form


def _respond(
    request: Request, form: SearchOptionsForm, source: registry.ImageSource, answer: dict[str, Any]
) -> Response:
    answer["query"]["model"] = source.model._meta.label_lower
    is_explained = bool(form.cleaned_data.get("explain"))
    has_distances = is_explained or form.cleaned_data["distances"]
    context = {"request": request, "distances": has_distances, "explanation": is_explained}
    headers = {} if answer["results"].is_complete else {"Cache-Control": "no-store"}  # the next try may be complete
    return Response(MatchesSerializer(answer, context=context).data, headers=headers)
