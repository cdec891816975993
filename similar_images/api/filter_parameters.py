"""Filters of the registered sources as parameters in the OpenAPI document.

They are those of all sources, as one document is for all models; each says which models take it. An endpoint refuses a
filter of another model, as any name that it does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.text import capfirst
from drf_spectacular.contrib.django_filters import DjangoFilterExtension
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from .. import registry
from ..search.filters import get_filterset_class
from ..sources.source import ImageSource


class FilterField(serializers.Field[Any, Any, Any, Any]):
    """A filter in a body, for the schema."""

    def __init__(self, schema: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._spectacular_annotation = {"field": schema}


def filter_query_parameters() -> list[OpenApiParameter]:
    """Return the filters of all sources as parameters of a query."""
    return [
        OpenApiParameter(name, schema, description=text, style=style, explode=explode)
        for name, schema, text, style, explode in _describe_filters()
    ]


def filter_body_fields() -> dict[str, FilterField]:
    """Return the filters of all sources as fields of a body, by name."""
    fields = {}
    for name, schema, text, _style, explode in _describe_filters():
        is_text = explode is False  # one text with commas between values
        fields[name] = FilterField({"type": "string"} if is_text else schema, required=False, help_text=text)
    return fields


def _describe_filters() -> Iterator[tuple[str, dict[str, Any], str, str | None, bool | None]]:
    """Yield name, schema, description, style and explode of each filter, also where several sources have it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for source in registry.get_sources():
        for parameter in _filters_of(source):
            found.setdefault(parameter["name"], []).append(parameter)
    for name, parameters in found.items():
        schemas: list[dict[str, Any]] = []
        for each in parameters:
            if each["schema"] not in schemas:
                schemas.append(each["schema"])
        labels = dict.fromkeys(label for each in parameters for label in each["models"])
        first = parameters[0]
        text = f"{first['label']}. For {', '.join(labels)}.".removeprefix(". ")
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        yield name, schema, text, first.get("style"), first.get("explode")


def _filters_of(source: ImageSource) -> Iterator[dict[str, Any]]:
    """Yield the parameters of the filters of a source; none where they are wrong, which the checks report."""
    if not source.filters:
        return
    try:
        filterset_class = get_filterset_class(source)
    except (ImproperlyConfigured, ImportError):
        return
    model = filterset_class._meta.model
    owners = source.ownership.owner_models if source.ownership else ()
    labels = [owner._meta.label_lower for owner in (*owners, source.model)]
    fields = filterset_class({}, model._default_manager.none()).form.fields
    make_extension: Any = DjangoFilterExtension  # untyped
    extension = make_extension(None)
    for name, field in filterset_class.base_filters.items():
        with GENERATOR_STATS.silence():  # a type that can't be told is a text
            parameters = extension.resolve_filter_field(AutoSchema(), model, filterset_class, name, field)
        for parameter in parameters:
            yield {**parameter, "label": capfirst(fields[name].label or ""), "models": labels}
