"""Pages in the admin that are about all sources: each has the address, and the place in menus, of a changelist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import urlencode

from ..models import Source

PageView = tuple[str, Callable[..., Any], str]
"""The route of a view below the address of the page, the view, and its name after that of the model."""


class PageAdmin(admin.ModelAdmin):
    """A page in place of a changelist: there are no objects of its own to add, change or delete."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may see the page."""
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False

    def page_views(self) -> Sequence[PageView]:
        """Return the views beside the page itself."""
        return []

    def get_urls(self) -> list[Any]:
        """Return the addresses of the page, and of what is done by a button on it."""
        views: list[PageView] = [("", self.changelist_view, "changelist"), *self.page_views()]
        prefix = f"{self.opts.app_label}_{self.opts.model_name}"
        return [path(route, self.admin_site.admin_view(view), name=f"{prefix}_{name}") for route, view, name in views]

    def redirect_to_page(self, **query: str) -> HttpResponseRedirect:
        """Lead to the page."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
        url = reverse(name, current_app=self.admin_site.name)
        return HttpResponseRedirect(f"{url}?{urlencode(query)}" if query else url)

    def render(
        self, request: HttpRequest, template: str, context: dict[str, Any], status: int = 200
    ) -> TemplateResponse:
        """Return a page in the frame of the admin."""
        request.current_app = self.admin_site.name
        context = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, template, context, status=status)


def name_source(row: Source) -> str:
    """Return a source in words, such as “Products: photo”; of one that is no longer registered, its name."""
    source = row.image_source
    if source is None:
        return str(row)
    return f"{str(source.model._meta.verbose_name_plural).capitalize()}: {source.field.verbose_name}"
