"""Sources: their fields and options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.db import router

from .. import registry
from ..sources.source import ImageSource, resolve_callable


def check_sources(**kwargs: Any) -> list[CheckMessage]:
    """Check that the sources' models are in the database of the image records."""
    from ..models import IndexedImage

    alias = router.db_for_write(IndexedImage)
    return [
        Error(
            f"{source.label} is in the database {source_alias!r}, but the image records are in {alias!r}.",
            hint="Records are written by triggers on its table, and joined to it: have your database "
            "router put both into the same database.",
            id="similar_images.E008",
        )
        for source in registry.get_sources()
        if (source_alias := router.db_for_write(source.model)) != alias
    ]


def check_source_options(**kwargs: Any) -> list[CheckMessage]:
    """Check what `register()` was told of owners, filters, and callables by dotted paths."""
    return [
        Error(
            f"{source.label}: {problem}",
            hint="Correct the call of register(), or the entry of the key MODELS.",
            id="similar_images.E011",
        )
        for source in registry.get_sources()
        for problem in _find_option_problems(source)
    ]


def _find_option_problems(source: ImageSource) -> Iterator[str]:
    from ..search.filters import get_filter_names
    from ..search.options import SearchOptions

    try:
        if source.serializer and not _is_serializer(resolve_callable(source.serializer)):
            yield f"serializer={source.serializer!r} is no serializer class of Django REST framework."
    except ImportError:
        pass  # reported by check_presentation()
    try:
        if source.ownership and not source.ownership.owner_models:
            yield f"owner={source.owner!r}: no model has a GenericRelation to it."
        taken = {*SearchOptions.declared(), "image", "model", "cursor", "ids"} & {*get_filter_names(source)}
        if taken:
            yield f"filters: {', '.join(sorted(taken))} is the name of an option of every search."
    except ImportError:
        pass  # as above
    except ImproperlyConfigured as error:
        yield str(error)


def _is_serializer(value: Any) -> bool:
    from rest_framework.serializers import BaseSerializer

    return isinstance(value, type) and issubclass(value, BaseSerializer)


def check_translated_fields(**kwargs: Any) -> list[CheckMessage]:
    """Report fields that stand for those of several languages, as django-modeltranslation makes of one."""
    return [
        Error(
            f"{source.label} is another file in each language, of which only one would be indexed.",
            hint=f"Register the fields of the languages in its place: {', '.join(fields)}.",
            id="similar_images.E023",
        )
        for source in registry.get_sources()
        if (fields := _fields_by_language(source))
    ]


def _fields_by_language(source: ImageSource) -> list[str]:
    """Return the names of the fields that a source's field stands for, one a language."""
    fields = source.model._meta.get_fields()
    originals = {
        field.name: getattr(field, "translated_field", None) for field in fields
    }  # as modeltranslation names it
    return [name for name, original in originals.items() if getattr(original, "name", None) == source.field_name]
