"""The menu "Similar images" in the toolbar, with the pages that the user may open."""

from __future__ import annotations

from typing import Any

from cms.toolbar_base import CMSToolbar
from cms.toolbar_pool import toolbar_pool
from django.contrib import admin
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from ... import access, permissions
from ...admin.links import admin_page_url
from ...models import Duplicates, Health, Map

TOOLBAR_PAGES: tuple[Any, ...] = (Duplicates, Map, Health)
"""Models of the admin's pages that the menu leads to."""


@toolbar_pool.register
class SimilarImagesToolbar(CMSToolbar):
    """Pages of the admin in the side frame, and the search by an image."""

    def populate(self) -> None:
        """Add the menu, unless there is nothing in it for the user."""
        if not permissions.is_staff(self.request):
            return
        pages = [(str(capfirst(model._meta.verbose_name)), self._admin_url(model)) for model in TOOLBAR_PAGES]
        pages = [(name, url) for name, url in pages if url]
        search_url = self._search_url()
        if not pages and not search_url:
            return
        menu = self.toolbar.get_or_create_menu("similar-images", _("Similar images"))
        for name, url in pages:
            menu.add_sideframe_item(name, url)
        if search_url:
            menu.add_link_item(_("Search by image"), search_url)

    def _admin_url(self, model: Any) -> str:
        """Return the address of a page of the admin, empty where there is none for the user."""
        if not admin.site.is_registered(model):
            return ""
        model_admin = admin.site.get_model_admin(model)
        is_allowed = model_admin.has_view_permission(self.request)
        return admin_page_url(model_admin, model._meta, "changelist") if is_allowed else ""

    def _search_url(self) -> str:
        """Return the address of the search by an image, empty where there is none for the user."""
        try:
            url = reverse("similar_images:search")
        except NoReverseMatch:
            return ""
        return url if access.is_allowed(self.request, "search_by_picture") else ""
