"""REST: matches of an object or of an upload, marks of editors, two pictures compared, and what is indexed.

Who may call is the project's own REST_FRAMEWORK setting; what comes back is each source's `visible`.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any, NoReturn, cast

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import MethodNotAllowed, PermissionDenied, ValidationError
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from .. import marks, permissions, registry, status, visitor_files
from ..comparison import results
from ..comparison.compare import Incomparable
from ..forms.comparison import CompareForm
from ..forms.cursors import find_page
from ..forms.mark import MarkForm
from ..forms.search import RestSearchForm, RestSimilarForm, RestTextForm, SearchOptionsForm
from ..image_labels import labels
from ..imaging.decode import UnreadableImage
from ..search.explain import unseen_object, why_not
from ..search.matches import similar_to
from ..search.options import OptionError
from ..search.ranking import text_methods
from ..sources.source import ImageSource
from ..views import CachedImageView
from . import examples
from .base import ApiView, check_form, get_django_request, reverse_beside
from .caching import find_answer, read_state
from .documentation import OF_BODIES, document, leave_out
from .parameters import check_names
from .presentation import Presentation
from .problems import ItemNotFound, report_missing_source
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
    examples.MODEL_PARAMETER,
    examples.KEY_PARAMETER,
]
OTHER_PARAMETER = OpenApiParameter("other", str, required=True, description="ID of the other object.")
FIELD_PARAMETER = OpenApiParameter("field", str, description="The image field, where the model has several.")


class SimilarView(ApiView):
    """The matches of an object."""

    @document(
        "similar_items",
        "Items that look like one item",
        MatchesSerializer,
        examples.MATCHES,
        errors=(400, 404, 503),
        parameters=[*PATH_PARAMETERS, SimilarSerializer],
        has_filters=True,
    )
    def get(self, request: Request, model: str, pk: str) -> HttpResponse:
        """Find the objects that look like one object, best first."""
        visitor = get_django_request(request)
        state = _read_state(visitor, model)
        if known := find_answer(visitor, state, is_personal=visitor.user.is_authenticated):
            return known
        form = RestSimilarForm(request.query_params)
        options = form.search_options()
        source, item = find_visible_object(visitor, model, pk, options.get("field"))
        if item is None:
            raise ItemNotFound
        like, unlike = form.examples(source, visitor, item.__class__)
        check_form(form, source=source)
        if actions := form.costly_actions:
            self.admit(request, actions)
        if options.get("exact") and not permissions.is_staff(visitor):
            raise PermissionDenied(_("Exact searches are for staff."))
        query = [item, *like]
        options |= {"unlike": unlike, "request": visitor, "filters": form.filter_values(source)}
        try:
            page = find_page(visitor, form, query, options)
            status, indexed_at = page.freshness or ("missing", None)
            queried = {"model": item._meta.label_lower, "pk": str(item.pk), "status": status, "indexed_at": indexed_at}
            answer: dict[str, Any] = {"query": queried, "results": page.results, "next": page.next}
            if key := form.cleaned_data.get("why_not"):
                other = source.get_visible(visitor, key, item.__class__)
                answer["why_not"] = (
                    why_not(query, other, **options)
                    if other is not None
                    else unseen_object(visitor, source, key, item.__class__)
                )
        except UnreadableImage as error:
            raise ValidationError({"box": [str(error)]}) from None
        except OptionError as error:
            raise ValidationError({error.option: [str(error)]}) from None
        return _respond(request, form, source, answer, state=None if actions else state)


class MarkView(ApiView):
    """An editor's word on an object and another one."""

    @document(
        "mark_items",
        "Mark two items as similar or not",
        MarkedSerializer,
        examples.MARK,
        errors=(*OF_BODIES, 404),
        parameters=PATH_PARAMETERS,
        request={"application/json": MarkSerializer},
        examples=[examples.MARK_REQUEST],
    )
    def post(self, request: Request, model: str, pk: str) -> Response:
        """Mark two objects as similar, or as not similar: then neither comes back as the other's match. For editors."""
        return self._mark(request, model, pk)

    @document(
        "unmark_items",
        "Remove the mark of two items",
        MarkedSerializer,
        {**examples.MARK, "alike": None},
        errors=(400, 404),
        parameters=[*PATH_PARAMETERS, OTHER_PARAMETER, FIELD_PARAMETER],
    )
    def delete(self, request: Request, model: str, pk: str) -> Response:
        """Remove the mark of two objects. For editors."""
        return self._mark(request, model, pk, is_removal=True)

    def _mark(self, request: Request, model: str, pk: str, *, is_removal: bool = False) -> Response:
        visitor = get_django_request(request)
        if not permissions.can_mark(visitor, _get_sources(model)[0]):
            raise PermissionDenied
        if is_removal:
            values = check_form(MarkForm(request.query_params), known=("other", "field")).cleaned_data
        else:
            check_names(request.query_params)
            data: Any = request.data
            values = check_form(MarkForm(data)).cleaned_data
        source = _get_source(model, values["field"] or None)
        a, b = (source.get_visible(visitor, key, registry.get_model(model)) for key in (pk, values["other"]))
        if a is None or b is None:
            raise ItemNotFound
        if not permissions.can_mark(visitor, source, a, b):
            raise PermissionDenied
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

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not text_methods():
            self.http_method_names = ["post", "options"]

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse a method; of a search by text, say why."""
        is_text = request.method in ("GET", "HEAD")
        detail = _("Search by text is not available on this site.") if is_text else None
        raise MethodNotAllowed(str(request.method), detail)

    @document(
        "search_by_text",
        "Items that fit a text",
        MatchesSerializer,
        examples.MATCHES_OF_TEXT,
        errors=(400, 404, 503),
        parameters=[TextSerializer],
        has_filters=True,
    )
    def get(self, request: Request) -> Response:
        """Find the objects whose images fit a text, best first; needs a method with a text encoder."""
        form = RestTextForm(request.query_params)
        form.full_clean()
        check_form(form, source=form.found_source)
        options = form.search_options()
        self.admit(request, form.costly_actions)
        visitor = get_django_request(request)
        options |= {"request": visitor, "filters": form.filter_values(form.source)}
        try:
            page = find_page(visitor, form, None, options)
        except OptionError as error:
            raise ValidationError({error.option: [str(error)]}) from None
        query = {"text": options["text"], "status": "indexed"}
        return _respond(request, form, form.source, {"query": query, "results": page.results, "next": page.next})

    @document(
        "search_by_image",
        "Items that look like an uploaded image",
        MatchesSerializer,
        examples.MATCHES_OF_KEPT_IMAGE,
        errors=(*OF_BODIES, 404, 503),
        request=SearchSerializer,
    )
    def post(self, request: Request) -> Response:
        """Find the objects that look like an uploaded image, best first; it is not stored, but with `keep`."""
        check_names(request.query_params)
        visitor = get_django_request(request)
        form = RestSearchForm(request.data, request.FILES, request=visitor)
        form.full_clean()
        check_form(form, source=form.found_source)
        query: dict[str, Any] = {"status": "indexed"}
        image = form.cleaned_data["image"]
        like, unlike = form.examples(form.source, visitor)
        check_form(form, source=form.found_source)
        self.admit(request, form.costly_actions)
        try:
            filters = form.filter_values(form.source)
            options = form.search_options() | {"unlike": unlike, "request": visitor, "filters": filters}
            matches = similar_to([image, *like], **options)
            if form.cleaned_data["labels"]:
                image.seek(0)
                query["labels"] = [asdict(label) for label in labels(image)]
            if form.cleaned_data["keep"]:
                query["upload"] = visitor_files.keep_upload(image, visitor) if visitor_files.is_reusable() else ""
        except UnreadableImage as error:
            raise ValidationError({"image": [str(error)]}) from None
        except OptionError as error:
            raise ValidationError({error.option: [str(error)]}) from None
        return _respond(request, form, form.source, {"query": query, "results": matches, "next": None})


class CompareView(ApiView):
    """Two images compared."""

    costly_action = "compare"
    max_uploads = 2
    parser_classes = [MultiPartParser, FormParser]

    @document(
        "compare_images",
        "Two images compared",
        ComparisonSerializer,
        examples.COMPARISON,
        errors=(*OF_BODIES, 404, 503),
        request={"multipart/form-data": CompareSerializer},
    )
    def post(self, request: Request) -> Response:
        """Compare two images, each an upload or that of an object, by many measures."""
        check_names(request.query_params)
        visitor = get_django_request(request)
        data = check_form(CompareForm(request.POST, request.FILES, request=visitor)).cleaned_data
        self.admit(request, ["compare"])
        try:
            result = results.run_comparison(
                data["a"], data["b"], data["measures"], partial(_cached_image_url, visitor), visitor
            )
        except Incomparable as error:
            raise ValidationError({error.which: [error.reason]}) from None
        return Response(ComparisonSerializer(result, context={"request": request}).data)


class CachedImageApiView(ApiView):
    """An image that explains a comparison, to those who may compare; read from the cache, so it is not throttled."""

    costly_action = "compare"
    throttle_classes = []

    @leave_out
    def get(self, request: Request, token: str, name: str) -> HttpResponse:
        """Return the PNG file, as the page's own view does, to the user that the REST framework authenticated."""
        check_names(request.query_params)
        return CachedImageView().get(get_django_request(request), token, name)


class StatusView(ApiView):
    """Status of the index."""

    @document("index_status", "Status of the index", StatusSerializer, examples.STATUS, errors=(400,))
    def get(self, request: Request) -> Response:
        """Count the images of every source by status: of objects that the visitor may see, or view in the admin."""
        check_names(request.query_params)
        return Response(StatusSerializer(status.index_status(get_django_request(request))).data)


def _get_source(model: str, field: str | None = None) -> ImageSource:
    with report_missing_source():
        return registry.get_source(model, field)


def _read_state(request: HttpRequest, model: str) -> str | None:
    try:
        return read_state(request, registry.get_sources_in(model))
    except registry.NotRegistered:
        return None


def _get_sources(model: str) -> list[ImageSource]:
    try:
        return registry.get_sources_by_label([model])
    except registry.NotRegistered:
        raise ItemNotFound from None


def find_visible_object(request: HttpRequest, model: str, pk: str, field: str | None) -> tuple[ImageSource, Any]:
    """Return the source and the object that an address names; None for an object that the visitor may not see.

    Raises:
        ItemNotFound, ValidationError: as `report_missing_source`.
    """
    with report_missing_source():
        return registry.find_object(request, model, pk, field)


def _cached_image_url(request: HttpRequest, token: str, name: str) -> str:
    return reverse_beside(request, "picture", {"token": token, "name": name})


def _respond(
    request: Request, form: SearchOptionsForm, source: ImageSource, answer: dict[str, Any], *, state: str | None = None
) -> Response:
    answer["query"].setdefault("model", source.result_model._meta.label_lower)
    is_explained = bool(form.cleaned_data.get("explain"))
    has_distances = is_explained or form.cleaned_data["distances"]
    presentation = Presentation(request, source, has_distances=has_distances, is_explained=is_explained)
    headers = {} if answer["results"].is_complete else {"Cache-Control": "no-store"}  # the next try may be complete
    response: Any = Response(presentation.present_answer(answer), headers=headers)
    response.volatile, response.state = answer["next"], state
    return cast("Response", response)
