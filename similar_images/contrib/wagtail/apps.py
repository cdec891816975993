"""The configuration of the integration."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from ... import registry
from ...sources.source import SourceOptions

OPTIONS: SourceOptions = {
    "visible": "similar_images.contrib.wagtail.access.visible_images",
    "policy": "similar_images.contrib.wagtail.access.ImagePolicy",
    "thumbnail": "similar_images.thumbnails.wagtail_renditions",
}
"""Options of the project's image model, where the project gives none of its own."""


class SimilarImagesWagtailConfig(AppConfig):
    """Registers the image model of the project, be it Wagtail's or one of its own."""

    name = "similar_images.contrib.wagtail"
    label = "similar_images_wagtail"
    verbose_name = _("Similar images in Wagtail")

    def ready(self) -> None:
        """Register the source, and have the chooser list by similarity, and tell of copies of uploads."""
        from wagtail.images import get_image_model
        from wagtail.images.views.chooser import viewset

        from . import listing
        from .uploads import ChooserUploadView

        registry.register_defaults(get_image_model(), "file", **OPTIONS)
        viewset.create_view_class = ChooserUploadView
        viewset.choose_view_class = listing.SimilarChooseView
        viewset.choose_results_view_class = listing.SimilarChooseResultsView
        viewset.preserve_url_parameters = [*viewset.preserve_url_parameters, listing.PARAMETER]
