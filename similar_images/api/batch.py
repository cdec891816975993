"""REST: the matches of many objects in one request, for list pages."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import models
from django.http import HttpRequest
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from .. import registry
from ..forms.search import RestBatchForm
from ..models import IndexedImage
from ..search.batch import images_of_each, similar_to_each
from ..search.matches import Matches
from ..search.options import OptionError, SearchOptions
from ..sources.source import ImageSource
from . import examples
from .base import ApiView, check_form, get_django_request
from .bodies import ItemsJSONParser
from .documentation import OF_BODIES, document
from .parameters import check_names
from .presentation import Presentation
from .problems import report_missing_source
from .serializers.search import BatchSerializer, MatchesOfEachSerializer


class BatchView(ApiView):
    """The matches of several objects."""

    parser_classes = [ItemsJSONParser]

    @document(
        "similar_items_batch",
        "Items that look like each of several items",
        MatchesOfEachSerializer,
        {"results": [{**examples.MATCHES, "next": None}]},
        errors=(*OF_BODIES, 404, 503),
        parameters=[examples.MODEL_PARAMETER],
        request={"application/json": BatchSerializer},
        examples=[examples.BATCH_REQUEST],
    )
    def post(self, request: Request, model: str) -> Response:
        """Find the objects that look like each of up to 100 objects, best first, in one request."""
        visitor = get_django_request(request)
        check_names(request.query_params)
        data: Any = request.data
        form = RestBatchForm(data)
        form.is_valid()
        with report_missing_source():
            source = registry.find_source(model, form.cleaned_data.get("field") or None)
            result_model = registry.get_model(model)
        check_form(form, source=source)
        items = _find_visible(source, visitor, result_model, form.cleaned_data["ids"])
        values = form.search_options() | {"request": visitor, "filters": form.filter_values(source)}
        try:
            options = SearchOptions.from_arguments("similar_to", values)
            found = dict(zip(items, similar_to_each(list(items.values()), options), strict=True))
        except OptionError as error:
            raise ValidationError({error.option: [str(error)]}) from None
        images = images_of_each(source, list(items.values()), source.visible_to(visitor))
        keys = [[image.pk for image in group] for group in images]
        freshness = dict(zip(items, IndexedImage.objects.get_freshness_of_each(source, keys), strict=True))
        answers = [
            _answer(result_model, key, freshness.get(key, ("missing", None)), found.get(key, Matches()))
            for key in form.cleaned_data["ids"]
        ]
        presentation = Presentation(request, source, has_distances=form.cleaned_data["distances"])
        return Response({"results": [presentation.present_answer(answer) for answer in answers]})


def _find_visible(
    source: ImageSource, request: HttpRequest, model: type[models.Model], keys: list[str]
) -> dict[str, Any]:
    """Return the objects with these keys that the visitor may see, by key, in one query a model of theirs."""
    field: Any = model._meta.pk
    wanted: dict[Any, str] = {}
    for key in keys:
        try:
            wanted.setdefault(field.to_python(key), key)
        except DjangoValidationError:  # the text can't be a key of this model
            continue
    wanted = {value: key for value, key in wanted.items() if "\0" not in str(value)}
    found: dict[Any, Any] = {}
    for queryset in source.visible_objects(request, model):
        found |= {item.pk: item for item in queryset.filter(pk__in=list(wanted))}
    return {key: found[value] for value, key in wanted.items() if value in found}


def _answer(model: type[models.Model], key: str, freshness: tuple[str, Any], matches: Matches) -> dict[str, Any]:
    """Return the answer for one key; the same for that of a hidden object and for one of none."""
    status, indexed_at = freshness
    query = {"model": model._meta.label_lower, "pk": key, "status": status, "indexed_at": indexed_at}
    return {"query": query, "results": matches, "next": None}
