"""REST: matches of an object or of an upload, two pictures compared, and what is indexed.

Who may call is the project's own REST_FRAMEWORK setting; what comes back is each source's `visible`.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django import forms
from django.http import HttpRequest
from django.urls import reverse
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .. import explaining, registry, search
from ..comparing import Incomparable
from ..forms import CompareForm, OptionsForm, SearchForm, TextForm
from ..images import UnreadableImage
from ..labeling import labels
from ..nearest import SearchTimeout
from .serializers import (
    CompareSerializer,
    ComparisonSerializer,
    MatchesSerializer,
    SearchSerializer,
    StatusSerializer,
)

KEY = [
    OpenApiParameter("model", str, OpenApiParameter.PATH, description="app_label.model"),
    OpenApiParameter("pk", str, OpenApiParameter.PATH),
]
OPTIONS = [
    OpenApiParameter("field", str, description="The image field, where the model has several."),
    OpenApiParameter("limit", int),
    OpenApiParameter("min_similarity", float, description="0 to 100 percent"),
    OpenApiParameter("method", str, description="Rank by this method alone."),
    OpenApiParameter("ranking", str, description="Weights by method: embedding:0.8,color:0.2"),
    OpenApiParameter("distances", bool, description="Also tell the raw distance by method."),
    OpenApiParameter("like", str, many=True, description="Keys of more objects: what comes is like all, by the mean."),
    OpenApiParameter("unlike", str, many=True, description="Keys of objects that nothing shall look like."),
    OpenApiParameter("box", str, description="The part that counts, in fractions: left,top,width,height"),
    OpenApiParameter("fold", str, enum=["0", "1"], description="0 shows near copies each, not as one."),
    OpenApiParameter("diversity", float, description="0 to 1: how much likeness to give away for variety."),
    OpenApiParameter("fallback", str, enum=["newest"], description="What comes where nothing is similar enough."),
]
TEXT = [
    OpenApiParameter("text", str, required=True, description=f"At most {search.TEXT_LENGTH} characters."),
    OpenApiParameter("model", str, description="app_label.model; needed where there are several."),
    *(option for option in OPTIONS if option.name not in ("ranking", "box", "like", "unlike")),
]

SomeForm = TypeVar("SomeForm", bound=forms.Form)


class SearchTimedOut(APIException):
    status_code = 503
    default_code = "timeout"


class View(APIView):
    schema = AutoSchema()


class SimilarView(View):
    @extend_schema(operation_id="similar", parameters=[*KEY, *OPTIONS], responses=MatchesSerializer)
    def get(self, request: Request, model: str, pk: str) -> Response:
        """The objects that look like one object, best first."""
        form = _checked(OptionsForm(request.query_params))
        options = form.options()
        try:
            source = registry.get(model, options["field"])
        except registry.NotRegistered:
            raise NotFound from None
        item = search.visible_object(source, pk, django_request(request))
        if item is None:
            raise NotFound
        query = {"pk": str(item.pk), "status": search.status_of(source, item.pk)}
        examples = _examples(form, source, request)
        try:
            matches = search.similar_to(
                [item, *examples["like"]], unlike=examples["unlike"], request=django_request(request), **options
            )
        except UnreadableImage as error:
            raise ValidationError({"box": [str(error)]}) from None
        except SearchTimeout as error:
            raise SearchTimedOut(str(error)) from None
        return _answer(request, form, source, query, matches)


class SearchView(View):
    parser_classes = [MultiPartParser]

    @extend_schema(operation_id="search_text", parameters=TEXT, responses=MatchesSerializer)
    def get(self, request: Request) -> Response:
        """The objects whose pictures fit a text, best first; where a method with a text encoder is configured."""
        form = _checked(TextForm(request.query_params))
        options = form.options()
        source = registry.get(options["model"], options["field"])
        try:
            matches = search.similar_to(request=django_request(request), **options)
        except SearchTimeout as error:
            raise SearchTimedOut(str(error)) from None
        return _answer(request, form, source, {"text": options["text"], "status": "indexed"}, matches)

    @extend_schema(operation_id="search", request=SearchSerializer, responses=MatchesSerializer)
    def post(self, request: Request) -> Response:
        """The objects that look like an uploaded picture, best first; nothing of the upload is kept."""
        form = _checked(SearchForm(request.data, request.FILES))
        options = form.options()
        source = registry.get(options["model"], options["field"])
        query: dict[str, Any] = {"status": "indexed"}
        image = form.cleaned_data["image"]
        examples = _examples(form, source, request)
        try:
            matches = search.similar_to(
                [image, *examples["like"]], unlike=examples["unlike"], request=django_request(request), **options
            )
            if form.cleaned_data["labels"]:
                image.seek(0)
                query["labels"] = labels(image)
        except UnreadableImage as error:
            raise ValidationError({"image": [str(error)]}) from None
        except SearchTimeout as error:
            raise SearchTimedOut(str(error)) from None
        return _answer(request, form, source, query, matches)


class CompareView(View):
    parser_classes = [MultiPartParser, FormParser]

    @extend_schema(operation_id="compare", request=CompareSerializer, responses=ComparisonSerializer)
    def post(self, request: Request) -> Response:
        """What two pictures are to each other, by many measures; each picture is an upload or that of an object."""
        data = _checked(CompareForm(request.POST, request.FILES, request=django_request(request))).cleaned_data
        try:
            result = explaining.explained(data["a"], data["b"], data["measures"], _address)
        except Incomparable as error:
            raise ValidationError({error.which: [error.reason]}) from None
        except SearchTimeout as error:
            raise SearchTimedOut(str(error)) from None
        return Response(ComparisonSerializer(result, context={"request": request}).data)


class StatusView(View):
    @extend_schema(operation_id="status", responses=StatusSerializer)
    def get(self, request: Request) -> Response:
        """How many images of every source are indexed, and how; staff counts all, others what they may see."""
        return Response(StatusSerializer(search.status(django_request(request))).data)


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


def _examples(form: OptionsForm, source: registry.ImageSource, request: Request) -> dict[str, list[Any]]:
    found = {name: form.examples(name, source, django_request(request)) for name in ("like", "unlike")}
    _checked(form)
    return found


def _answer(
    request: Request,
    form: OptionsForm,
    source: registry.ImageSource,
    query: dict[str, Any],
    matches: list[search.Match],
) -> Response:
    data: dict[str, Any] = {"query": {"model": source.model._meta.label_lower, **query}, "results": matches}
    context = {"request": request, "distances": form.cleaned_data["distances"]}
    return Response(MatchesSerializer(data, context=context).data)
