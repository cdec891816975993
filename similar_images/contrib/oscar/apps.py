"""The configuration of the integration."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from ... import registry
from ...sources.source import SourceOptions


class SimilarImagesOscarConfig(AppConfig):
    """Registers the images of products, and extends the page of a product in the dashboard."""

    name = "similar_images.contrib.oscar"
    label = "similar_images_oscar"
    verbose_name = _("Similar images in Oscar")

    def ready(self) -> None:
        """Register the source, whichever app of the project has its model."""
        from oscar.core.loading import get_model

        registry.register_defaults(get_model("catalogue", "ProductImage"), "original", **default_options())
        for config in apps.get_app_configs():
            if config.label == "catalogue_dashboard":  # whose module is the project's where it is forked
                extend_dashboard(config)


def default_options() -> SourceOptions:
    """Return the options of product images, where the project gives none of its own."""
    from django.db.models.functions import Coalesce

    return {
        "owner": Coalesce("product__parent", "product"),
        "visible": "similar_images.contrib.oscar.access.visible_products",
        "title": "similar_images.contrib.oscar.access.get_product_title",
        "thumbnail": _find_thumbnailer(),
        "policy": "similar_images.contrib.oscar.access.ProductPolicy",
    }


def _find_thumbnailer() -> str | None:
    """Return the thumbnailer that uses the same library as the shop; None where it uses another one."""
    from oscar.core import thumbnails

    used = import_string(settings.OSCAR_THUMBNAILER)  # type: ignore[misc]  # a setting that Oscar adds
    if issubclass(used, thumbnails.SorlThumbnail) and apps.is_installed("sorl.thumbnail"):
        return "similar_images.thumbnails.sorl_thumbnail"
    if issubclass(used, thumbnails.EasyThumbnails) and apps.is_installed("easy_thumbnails"):
        return "similar_images.thumbnails.easy_thumbnails"
    return None


def extend_dashboard(config: Any) -> None:
    """Have the dashboard show similar products on the page of a product, also where the project forked that page.

    The view is known when URLs are made: the app of the dashboard may get ready after this one.
    """
    from .dashboard import extend_product_view

    make_urls = config.get_urls

    def get_urls() -> Any:
        config.product_createupdate_view = extend_product_view(config.product_createupdate_view)
        return make_urls()

    config.get_urls = get_urls
