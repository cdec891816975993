"""REST: matches of an object or of an upload, marks of editors, two pictures compared, and what is indexed.

Who may call is the project's own REST_FRAMEWORK setting; what comes back is each source's `visible`.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django import forms
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException, NotFound, PermissionDenied, ValidationError
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .. import comparison_results, marks, permissions, registry, status
from ..comparison import Incomparable
from ..forms import CompareForm, MarkForm, OptionsForm, SearchForm, SimilarForm, TextForm
from ..image_labels import labels
from ..imaging.decode import UnreadableImage
from ..imaging.timeouts import SearchTimeout
from ..search import explain as reasons
from ..search import matches as matches_module
from .serializers import (
    CompareSerializer,
    ComparisonSerializer,
    MarkedSerializer,
    MarkSerializer,
    MatchesSerializer,
    SearchSerializer,
    SimilarSerializer,
    StatusSerializer,
    TextSerializer,
)

KEY = [
    OpenApiParameter("model", str, OpenApiParameter.PATH, description="app_label.model"),
    OpenApiParameter("pk", str, OpenApiParameter.PATH),
]
FIELD = OpenApiParameter("field", str, description="The image field, where the model has several.")

SomeForm = TypeVar("SomeForm", bound=forms.Form)


class SearchTimedOut(APIException):
    status_code = 503
    default_code = "timeout"


class View(APIView):
    schema = AutoSchema()


class SimilarView(View):
    @extend_schema(operation_id="similar", parameters=[*KEY, SimilarSerializer], responses=MatchesSerializer)
    def get(self, request: Request, model: str, pk: str) -> Response:
        """The objects that look like one object, best first."""
        form = _checked(SimilarForm(request.query_params))
        options = form.options()
        try:
            source = registry.get_source(model, options["field"])
        except registry.NotRegistered:
            raise NotFound from None
        item = source.get_visible(django_request(request), pk)
        if item is None:
            raise NotFound
        query = {"pk": str(item.pk), "status": status.record_status(source, item.pk)}
        explain, other = form.cleaned_data["explain"], form.cleaned_data["why_not"]
        like, unlike = form.examples(source, django_request(request))
        _checked(form)
        asked = options | {"unlike": unlike}
        query_by = [item, *like]
        try:
            matches = matches_module.similar_to(query_by, request=django_request(request), explain=explain, **asked)
            more = {"why_not": _why_not(source, query_by, other, django_request(request), asked)} if other else {}
        except UnreadableImage as error:
            raise ValidationError({"box": [str(error)]}) from None
        except SearchTimeout as error:
            raise SearchTimedOut(str(error)) from None
        return _answer(request, form, source, query, matches, **more)


class MarkView(View):
    parser_classes = [JSONParser, FormParser, MultiPartParser]

    @extend_schema(operation_id="mark", parameters=KEY, request=MarkSerializer, responses=MarkedSerializer)
    def post(self, request: Request, model: str, pk: str) -> Response:
        """Say that two objects are alike, or not: then neither is the other's match any more. For editors."""
        return self._mark(request, model, pk, request.data)

    @extend_schema(
        operation_id="unmark",
        parameters=[*KEY, OpenApiParameter("other", str, required=True), FIELD],
        responses=MarkedSerializer,
    )
    def delete(self, request: Request, model: str, pk: str) -> Response:
        """Take back what was said of two objects. For editors."""
        return self._mark(request, model, pk, request.query_params, undo=True)

    def _mark(self, request: Request, model: str, pk: str, data: Any, *, undo: bool = False) -> Response:
        values = _checked(MarkForm(data if isinstance(data, dict) else {})).cleaned_data
        try:
            source = registry.get_source(model, values["field"] or None)
        except registry.NotRegistered:
            raise NotFound from None
        if not permissions.can_mark(django_request(request), source):
            raise PermissionDenied
        a, b = (source.get_visible(django_request(request), key) for key in (pk, values["other"]))
        if a is None or b is None:
            raise NotFound
        alike = None if undo else values["alike"]
        if alike is None and not undo:
            raise ValidationError({"alike": [_("Say true or false.")]})
        try:
            if alike is None:
                marks.unmark(a, b, field=source.field_name)
            else:
                marks.mark(a, b, alike=alike, field=source.field_name, user=request.user)
        except ValueError as error:
            raise ValidationError({"other": [str(error)]}) from None
        label = source.model._meta.label_lower
        answer = {"model": label, "pk": a.pk, "other": b.pk, "alike": alike}
        return Response(MarkedSerializer(answer).data)


class SearchView(View):
    parser_classes = [MultiPartParser]

    @extend_schema(operation_id="search_text", parameters=[TextSerializer], responses=MatchesSerializer)
    def get(self, request: Request) -> Response:
        """The objects whose pictures fit a text, best first; where a method with a text encoder is configured."""
        form = _checked(TextForm(request.query_params))
        options = form.options()
        try:
            matches = matches_module.similar_to(request=django_request(request), **options)
        except SearchTimeout as error:
            raise SearchTimedOut(str(error)) from None
        return _answer(request, form, form.source, {"text": options["text"], "status": "indexed"}, matches)

    @extend_schema(operation_id="search", request=SearchSerializer, responses=MatchesSerializer)
    def post(self, request: Request) -> Response:
        """The objects that look like an uploaded picture, best first; nothing of the upload is kept."""
        form = _checked(SearchForm(request.data, request.FILES))
        options = form.options()
        query: dict[str, Any] = {"status": "indexed"}
        image = form.cleaned_data["image"]
        like, unlike = form.examples(form.source, django_request(request))
        _checked(form)
        try:
            matches = matches_module.similar_to(
                [image, *like], unlike=unlike, request=django_request(request), **options
            )
            if form.cleaned_data["labels"]:
                image.seek(0)
                query["labels"] = labels(image)
        except UnreadableImage as error:
            raise ValidationError({"image": [str(error)]}) from None
        except SearchTimeout as error:
            raise SearchTimedOut(str(error)) from None
        return _answer(request, form, form.source, query, matches)


class CompareView(View):
    parser_classes = [MultiPartParser, FormParser]

    @extend_schema(operation_id="compare", request=CompareSerializer, responses=ComparisonSerializer)
    def post(self, request: Request) -> Response:
        """What two pictures are to each other, by many measures; each picture is an upload or that of an object."""
        data = _checked(CompareForm(request.POST, request.FILES, request=django_request(request))).cleaned_data
        try:
            result = comparison_results.run_comparison(data["a"], data["b"], data["measures"], _address)
        except Incomparable as error:
            raise ValidationError({error.which: [error.reason]}) from None
        except SearchTimeout as error:
            raise SearchTimedOut(str(error)) from None
        return Response(ComparisonSerializer(result, context={"request": request}).data)


class StatusView(View):
    @extend_schema(operation_id="status", responses=StatusSerializer)
    def get(self, request: Request) -> Response:
        """How many images of every source are indexed, and how; staff counts all, others what they may see."""
        return Response(StatusSerializer(status.index_status(django_request(request))).data)


def django_request(request: Request) -> HttpRequest:
    """Django's own request, with the user whom the REST framework made out."""
    request._request.user = request.user
    return request._request


def _address(token: str, name: str) -> str:
    return reverse("similar_images_api:picture", args=[token, name])


def _checked(form: SomeForm) -> SomeForm:
    if not form.is_valid():
        raise ValidationError({name: [str(error) for error in errors] for name, errors in form.errors.items()})
    return form


def _why_not(
    source: registry.ImageSource, query: list[Any], pk: str, request: HttpRequest, options: dict[str, Any]
) -> reasons.Reason:
    other = source.get_or_none(source.objects, pk)
    return reasons.why_not(query, other, request=request, **options) if other else reasons.unknown_object()


def _answer(
    request: Request,
    form: OptionsForm,
    source: registry.ImageSource,
    query: dict[str, Any],
    matches: list[matches_module.Match],
    **more: Any,
) -> Response:
    data = {"query": {"model": source.model._meta.label_lower, **query}, "results": matches, **more}
    context = {"request": request, "distances": form.cleaned_data["distances"] or form.cleaned_data.get("explain")}
    return Response(MatchesSerializer(data, context=context).data)
