from __future__ import annotations

from django.db import models
from modelcluster.fields import ParentalKey
from wagtail import blocks
from wagtail.fields import RichTextField, StreamField
from wagtail.images.blocks import ImageBlock, ImageChooserBlock
from wagtail.models import Orderable, Page


class Card(blocks.StructBlock):
    image = ImageChooserBlock()
    text = blocks.RichTextBlock()


class Nested(blocks.StreamBlock):
    image = ImageChooserBlock()
    card = Card()


class Article(Page):
    """Refers to images by streams, rich text, and a foreign key."""

    hero = models.ForeignKey("wagtailimages.Image", models.SET_NULL, null=True, related_name="+")
    intro = RichTextField(blank=True)
    body = StreamField(
        [
            ("image", ImageChooserBlock()),
            ("described", ImageBlock()),
            ("text", blocks.RichTextBlock()),
            ("number", blocks.IntegerBlock()),
            ("card", Card()),
            ("gallery", blocks.ListBlock(ImageChooserBlock())),
            ("cards", blocks.ListBlock(Card())),
            ("nested", Nested()),
        ]
    )


class Footnote(Orderable):
    """A row of an inline panel."""

    article = ParentalKey(Article, on_delete=models.CASCADE, related_name="footnotes")
    text = RichTextField()
