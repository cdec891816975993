from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Prefetch
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from wagtail.admin.panels import FieldPanel
from wagtail.blocks import RichTextBlock
from wagtail.fields import StreamField
from wagtail.images import get_image_model, get_image_model_string
from wagtail.images.blocks import ImageChooserBlock
from wagtail.models import Page

from similar_images.contrib.wagtail.access import visible_images as images_by_privacy
from similar_images.contrib.wagtail.blocks import SimilarImagesBlock
from similar_images.contrib.wagtail.pages import similar_pages

CARD_SIZE = "max-400x400"
NEWEST = 24


def visible_images(request: HttpRequest) -> models.QuerySet[Any]:
    """Return the images that a visitor may see, with their stories."""
    return images_by_privacy(request).prefetch_related("stories")


def get_image_url(image: Any) -> str:
    """Return the address of the story that an image is of."""
    return next((story.url or "" for story in image.stories.all() if story.live), "")


def list_stories(within: Page) -> models.QuerySet[StoryPage]:
    """Return the published stories below a page, the newest first, with what their cards show."""
    images = get_image_model().objects.prefetch_renditions(CARD_SIZE)
    stories: models.QuerySet[StoryPage] = StoryPage.objects.live().public().descendant_of(within)
    return stories.order_by("-first_published_at", "-pk").prefetch_related(Prefetch("hero", images))


class HomePage(Page):
    """The cover, with the newest stories."""

    max_count = 1
    subpage_types = ["magazine.SectionPage"]

    class Meta:
        verbose_name = _("cover")

    def get_context(self, request: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(request, *args, **kwargs)
        return {**context, "stories": list_stories(self)[:NEWEST]}


class SectionPage(Page):
    """A section, with all its stories."""

    parent_page_types = ["magazine.HomePage"]
    subpage_types = ["magazine.StoryPage"]

    class Meta:
        verbose_name = _("section")

    def get_context(self, request: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(request, *args, **kwargs)
        return {**context, "stories": list_stories(self)}


class StoryPage(Page):
    """A story about one thing, with its picture."""

    hero = models.ForeignKey(
        get_image_model_string(),
        on_delete=models.SET_NULL,
        null=True,
        related_name="stories",
        verbose_name=_("picture"),
    )
    body = StreamField(
        [("text", RichTextBlock()), ("picture", ImageChooserBlock()), ("similar_images", SimilarImagesBlock())],
        blank=True,
    )
    collection = models.TextField(blank=True, editable=False, help_text=_("Where the demo found the picture."))

    content_panels = [*Page.content_panels, FieldPanel("hero"), FieldPanel("body")]
    parent_page_types = ["magazine.SectionPage"]
    subpage_types: list[str] = []

    class Meta:
        verbose_name = _("story")
        verbose_name_plural = _("stories")

    @property
    def images(self) -> list[Any]:
        """The pictures of the story, the main one first."""
        pictures = [block.value for block in self.body if block.block_type == "picture"]
        return [image for image in (self.hero, *pictures) if image is not None]

    def get_context(self, request: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(request, *args, **kwargs)
        return {**context, "similar_stories": similar_pages(self, request, paths=["hero"], limit=6)}
