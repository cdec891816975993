"""The sources that pages of a model's admin are about, by names in their addresses."""

from __future__ import annotations

from django.db import models

from .. import conf, registry
from ..sources.source import ImageSource


def min_listed_similarity() -> float:
    """Return the similarity in percent that panels and lists of similar items show at least: that of pages."""
    return conf.get().min_similarity_on("page")


def sources_of(model: type[models.Model]) -> list[ImageSource]:
    """Return the sources of a model's image fields, and then those of whose images it has the owners."""
    own = list(registry.get_sources_for_model(model))
    return [*own, *(source for source in registry.get_sources() if source not in own and source.has_results_of(model))]


def source_key(source: ImageSource, model: type[models.Model]) -> str:
    """Return the name of a source in the address of a page of a model: the field, or "app.Model.field" of an owner."""
    return source.field_name if issubclass(model, source.model) else source.label


def find_source_by_key(model: type[models.Model], key: str) -> ImageSource | None:
    """Return the source of a model by its `source_key`; without one, its only field, or else its only gallery."""
    found = sources_of(model)
    if key:
        return next((source for source in found if key == source_key(source, model)), None)
    found = [source for source in found if issubclass(model, source.model)] or found
    return found[0] if len(found) == 1 else None
