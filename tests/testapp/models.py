"""Models of every shape that a host may have."""

from __future__ import annotations

import uuid

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.functions import Coalesce
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


class Item(models.Model):
    """What photos are of: a product, or a variant of one."""

    name = models.CharField(max_length=50)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="variants")
    published = models.BooleanField(default=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True)

    attachments = GenericRelation("Attachment")

    objects = similar_images.SimilarQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "things"  # a word that no page says by itself

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"/items/{self.pk}/"


class Photo(models.Model):
    """One of several images of an item."""

    item = models.ForeignKey(Item, models.CASCADE, null=True, related_name="photos")
    image = models.ImageField(upload_to="photos/")

    objects = similar_images.SimilarQuerySet.as_manager()


class Essay(models.Model):
    """Text for a key, and images in a generic gallery."""

    slug = models.CharField(max_length=50, primary_key=True)
    attachments = GenericRelation("Attachment")


class Attachment(models.Model):
    """An image of whatever object."""

    content_type = models.ForeignKey(ContentType, models.CASCADE, db_constraint=False)
    object_id = models.CharField(max_length=50)
    subject = GenericForeignKey("content_type", "object_id")
    image = models.ImageField(upload_to="attachments/")


class Unregistered(models.Model):
    image = models.ImageField(upload_to="unregistered/")


similar_images.register(UuidPicture, "image")
similar_images.register(NamedPicture, "image")
similar_images.register(Scan, "file")
similar_images.register(Couple, "front")
similar_images.register(Couple, "back")
similar_images.register(
    Photo,
    "image",
    owner=Coalesce("item__parent", "item"),
    visible=lambda request: Item.objects.filter(published=True),
    title=lambda item: f"Item {item.name}",
    filters=["shelf", "shelf__name", "price__lte"],
)
similar_images.register(Attachment, "image", owner="subject")
similar_images.register(
    Private, "image", visible=lambda request: Private.objects.filter(owner=request.user.get_username())
)
