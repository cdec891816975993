"""Owners whose last image a merge removes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db import models

from .. import registry
from ..models import write_alias
from ..sources.owners import OWNER_KEY
from ..sources.source import ImageSource


def owners_left_without_image(source: ImageSource, removed: Sequence[models.Model]) -> dict[Any, models.Model]:
    """Return the owners that have no other image, in any source, if these objects are removed, by the objects' keys.

    The number of queries grows with the number of sources and of models of owners, not with that of the objects.
    """
    if source.ownership is None or not removed:
        return {}
    using = write_alias()
    pks = [item.pk for item in removed]
    images = source.ownership.annotate(source.objects.using(using)).filter(pk__in=pks)
    querysets = [model._base_manager.using(using) for model in source.ownership.owner_models]
    owner_by_image = source.load_results(images, querysets)
    by_model: dict[type[models.Model], dict[Any, models.Model]] = defaultdict(dict)
    for owner in owner_by_image.values():
        by_model[type(owner)][owner.pk] = owner
    with_image: set[models.Model] = set()
    for model, owners in by_model.items():
        for other in registry.get_sources():
            remaining = other.with_file().using(using)
            if issubclass(other.model, source.model) or issubclass(source.model, other.model):
                remaining = remaining.exclude(pk__in=pks)
            with_image.update(owners[pk] for pk in _owners_in(other, remaining, model, owners))
    return {pk: owner for pk, owner in owner_by_image.items() if owner not in with_image}


def _owners_in(
    source: ImageSource, images: models.QuerySet[Any], model: type[models.Model], owners: dict[Any, Any]
) -> set[Any]:
    """Return the primary keys of those of the owners that have one of the images of a source."""
    found: set[Any] = set()
    if issubclass(model, source.model):
        found.update(images.filter(pk__in=list(owners)).values_list("pk", flat=True))
    if source.has_results_of(model):
        ownership: Any = source.ownership
        keys = {ownership.owner_key(owner): pk for pk, owner in owners.items()}
        owned = ownership.annotate(images).filter(**{f"{OWNER_KEY}__in": list(keys)})
        found.update(keys[key] for key in owned.values_list(OWNER_KEY, flat=True))
    return found
