"""The host's model: a photo, whose image field is that of the thumbnail library where it has one of its own."""

from __future__ import annotations

from django.conf import settings
from django.db import models

import similar_images

if settings.LIBRARY == "django_pictures":
    from pictures.models import PictureField

    class Photo(models.Model):
        width = models.PositiveIntegerField(default=0)
        height = models.PositiveIntegerField(default=0)
        image = PictureField(
            upload_to="photos/", width_field="width", height_field="height", container_width=800, grid_columns=4
        )

elif settings.LIBRARY == "wagtail_renditions":
    from wagtail.images.models import Image as Photo
else:

    class Photo(models.Model):
        image = models.ImageField(upload_to="photos/")


similar_images.register(
    Photo,
    "file" if settings.LIBRARY == "wagtail_renditions" else "image",
    visible=lambda request: Photo.objects.all(),
    thumbnail=f"similar_images.thumbnails.{settings.LIBRARY}",
)
