"""Models of the site: pages with pictures, snippets, and an image model with a field that must be filled in."""

from typing import Any

from django.conf import settings
from django.db import models
from django.http import HttpRequest
from modelcluster.fields import ParentalKey
from wagtail.admin.panels import FieldPanel, InlinePanel
from wagtail.api import APIField
from wagtail.blocks import RichTextBlock
from wagtail.fields import StreamField
from wagtail.images.models import AbstractImage, AbstractRendition, Image
from wagtail.models import Orderable, Page

from similar_images.api.fields import SimilarItemsField
from similar_images.contrib.wagtail.blocks import SimilarImagesBlock
from similar_images.contrib.wagtail.pages import similar_pages


class CustomImage(AbstractImage):
    credit = models.CharField(max_length=100)

    admin_form_fields = (*Image.admin_form_fields, "credit")


class CustomRendition(AbstractRendition):
    image = models.ForeignKey(CustomImage, models.CASCADE, related_name="renditions")

    class Meta:
        unique_together = [("image", "filter_spec", "focal_point_key")]


class ArticlePage(Page):
    hero = models.ForeignKey(
        settings.WAGTAILIMAGES_IMAGE_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    body = StreamField([("text", RichTextBlock()), ("similar", SimilarImagesBlock())], blank=True)

    template = "site/article.html"
    api_fields = (APIField("hero"), APIField("similar_images", SimilarItemsField(source="hero")))

    content_panels = (*Page.content_panels, FieldPanel("hero"), FieldPanel("body"), InlinePanel("gallery"))

    def get_context(self, request: HttpRequest, *args: Any, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context(request, *args, **kwargs)
        return {**context, "similar_pages": similar_pages(self, request)}


class GalleryImage(Orderable):
    page = ParentalKey(ArticlePage, related_name="gallery")
    picture = models.ForeignKey(settings.WAGTAILIMAGES_IMAGE_MODEL, models.CASCADE, related_name="+")


class Product(models.Model):
    """A snippet with a picture of its own."""

    name = models.CharField(max_length=100)
    photo = models.ImageField(upload_to="products")

    def __str__(self) -> str:
        return self.name


class Vehicle(models.Model):
    """A model of a viewset of its own, with a picture of its own."""

    name = models.CharField(max_length=100)
    photo = models.ImageField(upload_to="vehicles")

    def __str__(self) -> str:
        return self.name
