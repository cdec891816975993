"""The media library's list of a folder, with a link to similar images beside each image."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.http import urlencode

from ...admin.changelist import SIMILAR_TO
from ...admin.links import admin_page_url
from .access import editable_images, get_image_model


class FolderAdminMixin(admin.ModelAdmin):
    """Mixed into the admin of folders. The links stand above the list; a script moves them to the images."""

    similar_images_listing_template = "similar_images/djangocms/directory_listing.html"
    """Template of the list, which extends the host's."""

    def directory_listing(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the host's list, with the links, but in windows where a file is chosen."""
        response: HttpResponse = super().directory_listing(request, *args, **kwargs)  # type: ignore[misc]  # of filer's admin, which this is mixed into
        context: Any = getattr(response, "context_data", None) or {}
        if "paginated_items" in context and not context["is_popup"]:  # other pages are those of actions
            context["similar_links"] = self._similar_links(request, context["paginated_items"].object_list)
            context["listing_template"] = response.template_name  # type: ignore[attr-defined]  # a TemplateResponse, as it has a context
            response.template_name = self.similar_images_listing_template  # type: ignore[attr-defined]  # a TemplateResponse, as above
        return response

    def _similar_links(self, request: HttpRequest, items: list[Any]) -> list[dict[str, Any]]:
        """Return the images that the user may open, each with the address of the list of similar ones."""
        model = get_image_model()
        keys = [item.pk for item in items if isinstance(item, model)]
        shown = set(editable_images(request).filter(pk__in=keys).values_list("pk", flat=True))
        url = admin_page_url(self, model._meta, "changelist")
        return [
            {"image": item, "url": f"{url}?{urlencode({SIMILAR_TO: item.pk})}"}
            for item in items
            if isinstance(item, model) and item.pk in shown
        ]
