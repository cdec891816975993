"""The mixin for admins and inlines of models with images, and of the owners of images."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path

from .change_form import ChangeFormMixin
from .changelist import ChangelistMixin
from .notice import UploadNoticeMixin
from .object_access import ObjectAccess
from .page_sources import find_source_by_key
from .pair import PairPage


class SimilarImagesMixin(UploadNoticeMixin, ChangeFormMixin, ChangelistMixin):
    """Mix into a ModelAdmin or an inline, first: change pages then end with similar items, and rows have theirs.

    Shown are those that the admins of the models themselves list, whatever the source's `visible` says.
    """

    def get_urls(self) -> list[Any]:
        """Return the host's URL patterns, after that of the page on a pair."""
        view = self.admin_site.admin_view(self.similar_images_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_similar_images"
        return [path("<path:object_id>/similar-images/", view, name=name), *super().get_urls()]

    def similar_images_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Explain why another object is a match or not, and mark the pair as similar or not."""
        obj = self.get_object(request, unquote(object_id))
        if not self.has_view_or_change_permission(request, obj):
            if obj is not None and self.has_view_or_change_permission(request):
                raise Http404  # as if it were missing
            raise PermissionDenied
        source = find_source_by_key(self.model, request.POST.get("field") or request.GET.get("field", ""))
        if obj is None or source is None:
            raise Http404
        user_access = ObjectAccess(self.admin_site, request, self, *self.get_inline_instances(request, obj))
        return PairPage(self, user_access, source, obj, self.similar_images_limit).respond()
