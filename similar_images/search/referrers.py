"""Objects that refer to images by foreign keys, such as pages with pictures, by the similarity of these images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.models import Q
from django.http import HttpRequest

from .. import conf
from ..sources.source import MAX_OWNER_IMAGES, ImageSource
from .batch import similar_to_each
from .options import SearchOptions

MAX_REFERRED_IMAGES = 100
"""Images by which an object's like are looked for, at most, for each of the images that it refers to."""

IMAGES_PER_REFERRER = 4
"""Images that are looked for in place of each object that is to be found, which may refer to several of them."""


def find_similar_referrers(
    source: ImageSource,
    item: models.Model,
    objects: models.QuerySet[Any],
    paths: Sequence[str],
    request: HttpRequest | None,
    limit: int,
) -> list[Any]:
    """Return those of the objects that refer to images which look most like one that an object refers to, best first.

    Each comes once, by the most similar of its images; the object itself never does. Only images count that the visitor
    may see. It takes as many queries however many images there are.

    Args:
        source: the source of the images.
        item: the object.
        objects: the objects that may come back.
        paths: lookups from these objects, and from `item`, to the images, such as ["hero", "gallery__image"].
        request: that of the visitor.
        limit: the number of objects, at most.
    """
    own = _pairs(item.__class__._base_manager.filter(pk=item.pk), paths, Q())
    images = list(source.as_filterable(source.visible_to(request)).filter(pk__in=[key for _pk, key in own]))
    objects = objects.exclude(pk=item.pk)
    is_referred = Q(*(("pk__in", objects.order_by().values(path)) for path in paths), _connector=Q.OR)
    options = {
        "request": request,
        "queryset": source.objects.filter(is_referred),
        "limit": min(limit * IMAGES_PER_REFERRER, MAX_REFERRED_IMAGES),
        "fold": False,
        "min_similarity": conf.get().min_similarity_on("widget"),
    }
    similarities: dict[Any, float] = {}
    # An image that other objects refer to as well is as similar as can be, but is none of its own matches.
    for image in images[:MAX_OWNER_IMAGES]:
        similarities[image.pk] = 100
    checked = SearchOptions.from_arguments("similar_to", options)
    for matches in similar_to_each(images[:MAX_OWNER_IMAGES], checked):
        for match in matches:
            key = match.image_object.pk
            similarities[key] = max(match.similarity, similarities.get(key, 0))
    is_similar = Q(*((f"{path}__in", list(similarities)) for path in paths), _connector=Q.OR)
    best: dict[Any, float] = {}
    for pk, key in _pairs(objects, paths, is_similar):
        if key in similarities:
            best[pk] = max(similarities[key], best.get(pk, 0))
    ranked = sorted(best, key=lambda pk: (-best[pk], pk))[:limit]
    found = objects.in_bulk(ranked)
    return [found[pk] for pk in ranked if pk in found]


def _pairs(objects: models.QuerySet[Any], paths: Sequence[str], condition: Q) -> set[tuple[Any, Any]]:
    """Return the keys of objects with those of the images that they refer to."""
    found = objects.filter(condition).order_by()
    return {pair for path in paths for pair in found.values_list("pk", path) if pair[1] is not None}
