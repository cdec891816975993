"""The configuration of the integration."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from ... import registry
from ...sources.source import SourceOptions

FILER_OPTIONS: SourceOptions = {
    "visible": "similar_images.contrib.djangocms.access.readable_images",
    "policy": "similar_images.contrib.djangocms.access.FilerPolicy",
    "thumbnail": "similar_images.thumbnails.easy_thumbnails",
    "title": "similar_images.contrib.djangocms.access.get_image_title",
    "url": "similar_images.contrib.djangocms.access.get_image_url",
}
"""Options of the project's image model, where the project gives none of its own."""


class SimilarImagesDjangoCMSConfig(AppConfig):
    """Registers the image model of the project, be it django-filer's or one of its own."""

    name = "similar_images.contrib.djangocms"
    label = "similar_images_djangocms"
    verbose_name = _("Similar images in django CMS")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the source."""
        from .access import get_image_model

        registry.register_defaults(get_image_model(), "file", **FILER_OPTIONS)
