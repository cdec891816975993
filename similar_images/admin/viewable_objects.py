"""The objects whose records and marks a user may look at in the admin, and how lists show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db import models
from django.utils.html import format_html
from django.utils.safestring import SafeString

from .. import permissions
from ..models import IndexedImage, IndexedImageQuerySet, Source
from ..sources.source import ImageSource
from .links import admin_page_url
from .object_access import ObjectAccess

MAX_CHECKED_OBJECTS = 1_000
"""Objects of a source that are asked about one by one, where their admin decides so; of more, none is shown."""


def viewable_sources(user_access: ObjectAccess) -> Iterator[tuple[Source, models.QuerySet[Any] | None]]:
    """Yield each source that a user may look at, and its objects that lists may show; None where it is unregistered."""
    for row in Source.objects.all():
        source = row.image_source
        if source is None:
            if permissions.can_view_model(user_access.request, row.app_label, row.model):
                yield row, None
            continue
        images = user_access.images(source)
        if not images.query.is_empty():
            yield row, images


def viewable_records(user_access: ObjectAccess) -> Iterator[tuple[Source, IndexedImageQuerySet | None]]:
    """Yield each source that a user may look at, and the records of the objects in question; None for all of them."""
    for row, images in viewable_sources(user_access):
        source = row.image_source
        yield row, None if source is None or images is None else records_of_images(user_access, row, source, images)


def records_of_images(
    user_access: ObjectAccess, row: Source, source: ImageSource, images: models.QuerySet[Any]
) -> IndexedImageQuerySet | None:
    """Return the records of those of a source's objects that a user may look at; None for all of the source.

    Args:
        user_access: the objects that the user may see.
        row: the source.
        source: the same, as it is registered.
        images: its objects that lists may show to the user.
    """
    records = IndexedImage.objects.filter(source=row)
    if decides_by_object_or_owner(user_access, source):
        found = list(source.as_filterable(images)[: MAX_CHECKED_OBJECTS + 1])
        shown = viewable_images(user_access, source, found) if len(found) <= MAX_CHECKED_OBJECTS else []
        return records.filter(object_id__in=[source.object_id(image.pk) for image, _owner in shown])
    return records.for_objects(source, images) if images.query.has_filters() else None


def decides_by_object_or_owner(user_access: ObjectAccess, source: ImageSource) -> bool:
    """Tell whether an admin decides on single objects of a source, be it by their owners."""
    models_ = [source.model]
    if source.ownership and not user_access.has_own_admin(source.model):
        models_ += source.ownership.owner_models
    return any(user_access.decides_by_object(model) for model in models_)


def viewable_images(
    user_access: ObjectAccess, source: ImageSource, images: Iterable[Any]
) -> list[tuple[Any, models.Model]]:
    """Return those of the objects that a user may see, each with the object whose image it is."""
    images = list(images)
    owners: dict[Any, Any] = {}
    if source.ownership:
        keyed = source.ownership.annotate(source.objects.filter(pk__in=[image.pk for image in images]))
        owners = dict(source.load_results(keyed, user_access.owners(source)))
    pairs = [(image, owners.get(image.pk, image)) for image in images]
    return [(image, owner) for image, owner in pairs if user_access.can_view_image(image, owner)]


class ListedObject(NamedTuple):
    """An object in a list: in words, with its image and the address of its change page."""

    title: str
    url: str
    image_url: str

    def as_image(self) -> SafeString | str:
        """Return its image as HTML, empty where there is none."""
        if not self.image_url:
            return ""
        return format_html('<img src="{}" alt="" height="48" loading="lazy">', self.image_url)

    def as_link(self) -> SafeString | str:
        """Return its name as a link to its page, where it has one."""
        return format_html('<a href="{}">{}</a>', self.url, self.title) if self.url else self.title


class NamedRow(NamedTuple):
    """A row of a list by the name of its object, which Django labels the row's checkbox with."""

    pk: Any
    name: str

    def __str__(self) -> str:
        """Return the name."""
        return self.name


def load_listed_objects(
    user_access: ObjectAccess, model_admin: Any, references: Iterable[tuple[Source, str]]
) -> dict[tuple[int, str], ListedObject]:
    """Fetch the objects of records, in as many queries for many as for one of each source.

    Args:
        user_access: the objects that the user may see; of others, nothing but the key is shown.
        model_admin: the admin whose site is linked to.
        references: the source and key of each object.
    """
    by_source: dict[Source, list[str]] = {}
    for row, object_id in references:
        by_source.setdefault(row, []).append(object_id)
    listed = {
        (row.pk, object_id): ListedObject(object_id, "", "") for row, ids in by_source.items() for object_id in ids
    }
    for row, ids in by_source.items():
        source = row.image_source
        if source is not None:
            images = source.as_filterable(user_access.images(source)).filter(pk__in=ids)
            shown = viewable_images(user_access, source, images)
            for image, described in _make_listed(user_access, model_admin, source, shown):
                listed[row.pk, source.object_id(image.pk)] = described
    return listed


def _make_listed(
    user_access: ObjectAccess, model_admin: Any, source: ImageSource, shown: Sequence[tuple[Any, models.Model]]
) -> Iterator[tuple[Any, ListedObject]]:
    """Yield objects with images as lists show them: by their owner, where the user may see it."""
    thumbnails = source.make_thumbnails([image for image, _owner in shown])
    for image, owner in shown:
        file = getattr(image, source.field_name)
        thumbnail = thumbnails.make(file) if source.thumbnail else None
        is_owner_shown = owner is not image and user_access.can_view(owner)
        urls = [admin_page_url(model_admin, item._meta, "change", item.pk) for item in (image, owner)]
        title = source.get_title(owner) if is_owner_shown or source.ownership is None else str(image)
        url = urls[0] or (urls[1] if is_owner_shown else "")
        yield image, ListedObject(title, url, thumbnail.url if thumbnail else file.url if file else "")
