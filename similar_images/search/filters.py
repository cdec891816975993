"""Filters that a source offers to visitors, by lookups or by a FilterSet of django-filter."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.http import HttpRequest

from .. import registry
from ..sources.source import ImageSource, resolve_callable
from .options import OptionError


def filter_results(
    source: ImageSource, values: Mapping[str, Any], request: HttpRequest | None = None
) -> models.QuerySet[Any]:
    """Return the objects that fit the values of all filters: those that come back, or that have the images.

    Args:
        source: the source.
        values: what visitors say, by name of a filter; a `QueryDict`, or a mapping.
        request: that of the visitor, for filters that ask for it.

    Raises:
        OptionError: a value is none of the filter's, or there is no filter of the name.
        ImproperlyConfigured: django-filter is not installed, or the source has no such lookup.
    """
    for name in values:
        if not is_filter_parameter(source, name):
            names = ", ".join(get_filter_names(source)) or "none"
            raise OptionError(name, f"There is no filter {name!r}. Filters: {names}.")
    filterset = _make_filterset(source, values, request)
    for name, errors in filterset.errors.items():
        raise OptionError(name, " ".join(str(error) for error in errors))
    queryset: models.QuerySet[Any] = filterset.qs
    return queryset


def make_filter_form(source: ImageSource, values: Mapping[str, Any], request: HttpRequest) -> Any:
    """Return the form of a source's filters with these values; None where it has no filters."""
    return _make_filterset(source, values, request).form if source.filters else None


def _make_filterset(source: ImageSource, values: Mapping[str, Any], request: HttpRequest | None) -> Any:
    """Return the FilterSet with values, in whose fields the visitor chooses from no objects that are hidden."""
    filterset_class = get_filterset_class(source)
    filterset = filterset_class(values, filterset_class._meta.model._default_manager.all(), request=request)
    for field in filterset.form.fields.values():
        if isinstance(getattr(field, "queryset", None), models.QuerySet):
            field.queryset = registry.leave_out_hidden(field.queryset, request)
    return filterset


def get_filter_names(source: ImageSource) -> list[str]:
    """Return the names of a source's filters, which are those of their parameters."""
    return list(get_filterset_class(source).base_filters) if source.filters else []


def is_filter_parameter(source: ImageSource, name: str) -> bool:
    """Tell whether a parameter is that of a filter, or one of several of it, such as "price_min"."""
    return name in get_parameter_widgets(source)


def get_parameter_widgets(source: ImageSource) -> Mapping[str, Any]:
    """Return the widgets that read the parameters of a source's filters, by name; a filter may have several."""
    return _make_widgets(get_filterset_class(source)) if source.filters else {}


@lru_cache(maxsize=64)
def _make_widgets(filterset_class: Any) -> Mapping[str, Any]:
    fields = filterset_class({}, filterset_class._meta.model._default_manager.none()).form.fields
    widgets = {name: field.widget for name, field in fields.items()}
    parts = {
        f"{name}_{suffix}": part
        for name, widget in widgets.items()
        for suffix, part in zip(getattr(widget, "suffixes", ()), getattr(widget, "widgets", ()), strict=False)
    }
    return {**widgets, **parts}


def get_filterset_class(source: ImageSource) -> Any:
    """Return the FilterSet of a source.

    Raises:
        ImproperlyConfigured: as `filter_results`.
    """
    return _make_filterset_class(source.result_model, source.filters)


@lru_cache(maxsize=64)
def _make_filterset_class(model: Any, filters: Any) -> Any:
    try:
        from django_filters.exceptions import FieldLookupError
        from django_filters.filterset import FilterSet, filterset_factory
        from django_filters.utils import get_model_field
    except ImportError:
        raise ImproperlyConfigured(f"The filters of {model._meta.label} need the package django-filter.") from None
    resolved: Any = resolve_callable(filters)
    if isinstance(resolved, type):
        options: Any = getattr(resolved, "_meta", None)
        if not issubclass(resolved, FilterSet) or options.model is None:
            raise ImproperlyConfigured(f"The filters of {model._meta.label} are no FilterSet of a model: {resolved!r}.")
        return resolved
    fields: dict[str, list[str]] = {}
    for lookup in resolved or ():
        path, _, transform = lookup.rpartition("__")
        is_path = get_model_field(model, lookup) is not None
        if not is_path and (not path or get_model_field(model, path) is None):
            raise ImproperlyConfigured(f"{model._meta.label} has no field {lookup!r} to filter by.")
        fields.setdefault(lookup if is_path else path, []).append("exact" if is_path else transform)
    try:
        return filterset_factory(model, FilterSet, fields)
    except (FieldLookupError, TypeError) as error:
        raise ImproperlyConfigured(f"The filters of {model._meta.label}: {error}") from None
