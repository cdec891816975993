"""Models of every shape that a host may have."""

from __future__ import annotations

import uuid

from django.db import models
from django.urls import reverse

import similar_images


class Shelf(models.Model):
    name = models.CharField(max_length=50, default="")


@similar_images.register("image", visible=lambda request: Picture.objects.filter(published=True))
class Picture(models.Model):
    """The ordinary one: integer key, some objects hidden."""

    title = models.CharField(max_length=50, default="")
    image = models.ImageField(upload_to="pictures/", blank=True, max_length=255)
    published = models.BooleanField(default=True)
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True)

    objects = similar_images.SimilarQuerySet.as_manager()

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("similar_images:similar", args=["testapp.picture", self.pk])


class FramedPicture(Picture):
    """A child with a table of its own."""

    frame = models.CharField(max_length=50, default="")


class PictureProxy(Picture):
    class Meta:
        proxy = True


class WithImage(models.Model):
    image = models.ImageField(upload_to="uuid/", null=True)

    class Meta:
        abstract = True


class UuidPicture(WithImage):
    """A UUID for a key, the field from an abstract parent, nobody hidden, no page of its own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)

    objects = similar_images.SimilarQuerySet.as_manager()


class NamedPicture(models.Model):
    """Text for a key, and room for much of it."""

    name = models.CharField(max_length=500, primary_key=True)
    image = models.ImageField(upload_to="named/")

    objects = similar_images.SimilarQuerySet.as_manager()


class Couple(models.Model):
    """Two image fields."""

    front = models.ImageField(upload_to="front/")
    back = models.ImageField(upload_to="back/", blank=True)

    objects = similar_images.SimilarQuerySet.as_manager()


class StoredFile(models.Model):
    """A file of any kind, as media libraries have them."""

    file = models.FileField(upload_to="files/", max_length=255)


class Scan(StoredFile):
    """A file that is an image: the field is in the parent's table, and its other files are none of ours."""

    pages = models.IntegerField(default=1)

    objects = similar_images.SimilarQuerySet.as_manager()


class Private(models.Model):
    """Seen by its owner only."""

    owner = models.CharField(max_length=50)
    image = models.ImageField(upload_to="private/")


class Unregistered(models.Model):
    image = models.ImageField(upload_to="unregistered/")


similar_images.register(UuidPicture, "image")
similar_images.register(NamedPicture, "image")
similar_images.register(Scan, "file")
similar_images.register(Couple, "front")
similar_images.register(Couple, "back")
similar_images.register(
    Private, "image", visible=lambda request: Private.objects.filter(owner=request.user.get_username())
)
