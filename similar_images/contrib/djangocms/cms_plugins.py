"""The plug-in "Similar images", for any placeholder."""

from __future__ import annotations

from typing import Any

from cms.plugin_base import CMSPluginBase
from cms.plugin_pool import plugin_pool
from django.utils.translation import gettext_lazy as _

from ... import registry
from .models import SimilarImages


@plugin_pool.register_plugin
class SimilarImagesPlugin(CMSPluginBase):
    """Images that are similar to the chosen one, of those that the visitor of the page may see."""

    model = SimilarImages
    name = _("Similar images")
    module = _("Media")
    render_template = "similar_images/djangocms/plugin.html"
    text_enabled = False
    cache = False
    """False, as a visitor may see other images than the next one: CMS must not keep them with the placeholder."""

    def render(self, context: Any, instance: SimilarImages, placeholder: Any) -> Any:
        """Return the context of the template, without the image where the visitor may not see it."""
        context = super().render(context, instance, placeholder)
        source = registry.get_source(instance._meta.get_field("image").related_model, "file")
        request = context["request"]
        context["image"] = source.get_visible(request, str(instance.image_id)) if instance.image_id else None
        context["is_editing"] = request.toolbar.edit_mode_active
        return context
