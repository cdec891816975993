"""The admin of images: similar ones on the page of each, a list of them, and the page that replaces an upload."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ... import registry
from ...admin.changelist import SIMILAR_TO
from ...admin.duplicate_access import DuplicateAccess
from ...admin.links import admin_page_url
from ...admin.mixin import SimilarImagesMixin
from ...admin.object_access import ObjectAccess
from ...merging.merge import merge_objects, plan_merge
from ...merging.references import MergeRefused
from ...merging.uses import list_uses
from ...sources.source import ImageSource
from .access import editable_images

UNFILTERED = "_similar_images_unfiltered"
"""Attribute of a request while a single image is loaded, of which the host decides whether it is for the user."""


class ImageAdminMixin(SimilarImagesMixin, admin.ModelAdmin):
    """Mixed into the admin of django-filer's images, which then lists those alone that it opens for the user."""

    use_existing_template = "similar_images/djangocms/use_existing.html"
    """Template of the page that replaces an upload by an image that was there."""

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Return the images whose pages the user may open, each with the folder that decides on it."""
        queryset: models.QuerySet[Any] = super().get_queryset(request)
        if UNFILTERED in request.__dict__:
            return queryset
        return queryset.filter(pk__in=editable_images(request).values("pk")).select_related("folder")

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the host's object, whoever may open it: the host's pages refuse what is not for the user."""
        request.__dict__[UNFILTERED] = True
        try:
            return super().get_object(request, *args, **kwargs)
        finally:
            del request.__dict__[UNFILTERED]

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the host's columns, after the image where the list is of similar ones."""
        columns = super().get_list_display(request)
        return ["similar_images_thumbnail", *columns] if SIMILAR_TO in request.GET else columns

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        """Return the host's columns that link to an image, or, in the list of similar ones, the image and its name."""
        return list_display[:2] if SIMILAR_TO in request.GET else super().get_list_display_links(request, list_display)

    @admin.display(description=gettext_lazy("Image"))
    def similar_images_thumbnail(self, obj: Any) -> SafeString | str:
        """Return a small image as HTML, empty where there is none."""
        thumbnail = self._source.make_thumbnails([obj]).make(obj.file)
        return format_html('<img src="{}" alt="" height="64" loading="lazy">', thumbnail.url) if thumbnail else ""

    def get_urls(self) -> list[Any]:
        """Return the host's URL patterns, after that of the page that replaces an upload."""
        view = self.admin_site.admin_view(self.use_existing_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_use_existing"
        return [path("<path:object_id>/use-existing/<path:existing_id>/", view, name=name), *super().get_urls()]

    def use_existing_view(self, request: HttpRequest, object_id: str, existing_id: str) -> HttpResponse:
        """Show an image and one that is to be used in its place; once that is confirmed, only the latter is left."""
        source, user_access = self._source, ObjectAccess(self.admin_site, request, self)
        image: Any = user_access.find(source, self.model, unquote(object_id))
        existing: Any = user_access.find(source, self.model, unquote(existing_id))
        if image is None or existing is None or image == existing:
            raise Http404
        if not self.has_delete_permission(request, image):
            raise PermissionDenied
        uses = list_uses(self.model, [image])[image.pk]
        url = admin_page_url(self, self.opts, "change", existing.pk)
        if request.method == "POST":
            try:
                self._replace(request, image, existing, is_used=bool(uses))
            except MergeRefused as refusal:
                self.message_user(request, str(refusal), messages.ERROR)
                return HttpResponseRedirect(request.path)
            self.message_user(request, _("The new image was deleted. This one is used in its place."))
            return HttpResponseRedirect(url)
        thumbnails = source.make_thumbnails([existing, image])
        context = {
            **self.admin_site.each_context(request),
            "title": _("Use the existing image"),
            "opts": self.opts,
            "existing_url": url,
            "image_url": admin_page_url(self, self.opts, "change", image.pk),
            "images": [(shown, thumbnails.make(shown.file)) for shown in (existing, image)],
            "uses": len(uses),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.use_existing_template, context)

    def _replace(self, request: HttpRequest, image: Any, existing: Any, *, is_used: bool) -> None:
        """Delete an image with its file; where something refers to it, merge it, which can be undone.

        Raises:
            MergeRefused: the user may not change all that refers to it.
        """
        if not is_used:
            self.log_deletions(request, self.model._default_manager.filter(pk=image.pk))
            self.delete_model(request, image)
            return
        plan = plan_merge(self._source, existing.pk, [image.pk], is_removal=True)
        DuplicateAccess(self.admin_site, request).check_plan(plan)
        merge_objects(self._source, existing.pk, [image.pk], user=request.user, fingerprint=plan.fingerprint)

    @property
    def _source(self) -> ImageSource:
        return registry.get_source(self.model, "file")
