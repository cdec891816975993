"""A block of StreamField that shows images which are similar to one."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from wagtail.blocks import IntegerBlock, StructBlock
from wagtail.images.blocks import ImageChooserBlock

from ...widgets.widget import find_matches


class SimilarImagesBlock(StructBlock):
    """Images that are similar to the chosen one, of those that the visitor of the page may see."""

    image = ImageChooserBlock(label=_("Image"))
    limit = IntegerBlock(
        label=_("Number of images"), default=6, min_value=1, max_value=24, help_text=_("At most this many.")
    )

    class Meta:
        icon = "image"
        label = _("Similar images")
        template = "similar_images/wagtail/block.html"

    def get_context(self, value: Any, parent_context: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the context of the template, with the matches for the visitor of the page."""
        context: dict[str, Any] = super().get_context(value, parent_context=parent_context)
        image, request = value.get("image"), (parent_context or {}).get("request")
        context["matches"] = find_matches(request, image, {"limit": value.get("limit")}) if image else []
        return context
