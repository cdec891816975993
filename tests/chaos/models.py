"""The host's models: an integer key and a child with a table of its own; a UUID and two fields."""

from __future__ import annotations

import uuid

from django.db import models

import similar_images

from .storage import Bucket, Disk


@similar_images.register("image")
class Photo(models.Model):
    """Integer key; a new file of an old name overwrites it in place."""

    owner = models.IntegerField(db_index=True)
    title = models.CharField(max_length=50, default="")
    image = models.ImageField(upload_to="photo/", storage=Disk(), blank=True)

    objects = similar_images.SimilarQuerySet.as_manager()


class FramedPhoto(Photo):
    frame = models.CharField(max_length=50, default="")


@similar_images.register("front")
@similar_images.register("back")
class Asset(models.Model):
    """A UUID for a key, and two fields in a storage like S3."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.IntegerField(db_index=True)
    title = models.CharField(max_length=50, default="")
    front = models.ImageField(upload_to="front/", storage=Bucket())
    back = models.FileField(upload_to="back/", storage=Bucket(), blank=True)

    objects = similar_images.SimilarQuerySet.as_manager()


FIELDS: dict[type[models.Model], tuple[str, ...]] = {
    Photo: ("image",),
    FramedPhoto: ("image",),
    Asset: ("front", "back"),
}


def key(model: type[models.Model], field: str, pk: object) -> str:
    """Return the name of an object's field in journals; a child has that of its parent."""
    return f"{'asset' if model is Asset else 'photo'}.{field}:{pk}"
