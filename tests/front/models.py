from __future__ import annotations

from django.db import models
from django.urls import reverse

import similar_images


@similar_images.register(
    "image",
    visible=lambda request: Item.objects.filter(is_hidden=False),
    thumbnail="similar_images.thumbnails.easy_thumbnails",
)
class Item(models.Model):
    name = models.CharField(max_length=200)
    image = models.ImageField(upload_to="items/")
    is_hidden = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("item", args=[self.pk])


@similar_images.register("image", visible=lambda request: Sketch.objects.all())
class Sketch(models.Model):
    """An object without a page."""

    name = models.CharField(max_length=200)
    image = models.ImageField(upload_to="sketches/")

    def __str__(self) -> str:
        return self.name
