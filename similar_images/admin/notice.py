"""A notice where a file is chosen in the admin: which images are there already, before it is saved or right after."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR, TO_FIELD_VAR
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import NoReverseMatch, path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from .. import conf, registry
from ..forms.uploads import find_body_problem
from ..imaging.decode import UnreadableImage
from ..imaging.files import read_bounded
from .image_fields import AdminImageField, list_image_fields
from .saved_uploads import SavedUploads
from .upload_notice import UploadNotice, make_notice

if TYPE_CHECKING:
    MixinBase = admin.ModelAdmin[Any]
else:
    MixinBase = object


class UploadNoticeMixin(MixinBase):
    """Tells which images are there already when a file is chosen on a page of the admin, or after it was saved."""

    similar_images_notice_template = "similar_images/admin_notice.html"
    """Template of the notice."""

    @property
    def media(self) -> Any:
        """The host's media, and those of the notice."""
        return super().media + forms.Media(
            js=["similar_images/admin-notice.js"], css={"all": ["similar_images/admin-notice.css"]}
        )

    def get_urls(self) -> list[Any]:
        """Return the host's URL patterns, after that of the notice."""
        view = self.admin_site.admin_view(self.similar_images_notice_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_similar_images_notice"
        return [path("similar-images/notice/", view, name=name), *super().get_urls()]

    def get_form(self, request: HttpRequest, obj: models.Model | None = None, *args: Any, **kwargs: Any) -> Any:
        """Return the host's form, whose image fields name the address of the notice."""
        form = super().get_form(request, obj, *args, **kwargs)
        for source in registry.get_sources_for_model(self.model):
            self._similar_images_name_notice(AdminImageField(request, self, source), form, obj)
        return form

    def get_formsets_with_inlines(self, request: HttpRequest, obj: models.Model | None = None) -> Iterator[Any]:
        """Yield the host's formsets, whose image fields name the address of the notice."""
        for formset, inline in super().get_formsets_with_inlines(request, obj):
            for source in registry.get_sources_for_model(inline.model):
                self._similar_images_name_notice(AdminImageField(request, self, source, inline), formset.form, obj)
            yield formset, inline

    def _similar_images_name_notice(self, field: AdminImageField, form: Any, page_object: models.Model | None) -> None:
        """Let the input of a field name the address of the notice, for the script."""
        name = field.source.field_name
        if name not in form.base_fields:
            return
        try:
            url = reverse(
                f"admin:{self.opts.app_label}_{self.opts.model_name}_similar_images_notice",
                current_app=self.admin_site.name,
            )
        except NoReverseMatch:  # of an admin that the site does not serve
            return
        request = field.request
        query = {"field": field.key} | ({"object": str(page_object.pk)} if page_object is not None else {})
        for parameter in (IS_POPUP_VAR, TO_FIELD_VAR):
            if value := request.POST.get(parameter, request.GET.get(parameter)):
                query[parameter] = value
        form.base_fields[name] = deepcopy(form.base_fields[name])  # a form that the host declares is shared by requests
        attributes = form.base_fields[name].widget.attrs
        attributes["data-similar-images-notice"] = f"{url}?{urlencode(query)}"
        attributes["data-similar-images-checking"] = _("Checking for copies…")
        if field.inline is not None:
            attributes["data-similar-images-key"] = field.model._meta.pk.name

    @csrf_exempt  # that check reads the body: it comes after the one of the size
    def similar_images_notice_view(self, request: HttpRequest) -> HttpResponseBase:
        """Answer with the notice about a file that is not saved yet, as HTML without a page around it."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if find_body_problem(request.META, 1):
            notice = UploadNotice(problem=_("This file is too large to look for copies before it is saved."))
            return render(request, self.similar_images_notice_template, {"notice": notice}, status=413)
        response: HttpResponseBase = csrf_protect(self._similar_images_look_up)(request)
        return response

    def _similar_images_look_up(self, request: HttpRequest) -> HttpResponse:
        """Look up a file for a field that the user may save it in.

        Raises:
            PermissionDenied: the page has no such field, or the user may not save it; nothing tells which.
        """
        page_key = request.GET.get("object")
        page_object = self.get_object(request, page_key) if page_key else None
        if page_key and page_object is None:
            raise PermissionDenied
        key = request.GET.get("field")
        fields = list_image_fields(request, self, page_object)
        field = next((field for field in fields if field.key == key and field.can_upload(page_object)), None)
        if field is None:
            raise PermissionDenied
        file = request.FILES.get("image")
        try:
            data = read_bounded(file, max_bytes=conf.get().search_max_bytes) if file else None
            own_keys = field.own_keys(page_object, request.POST.get("item", ""))
            notice = make_notice(field, data, own_keys, sha256=_read_hash(request))
        except UnreadableImage as error:
            notice = UploadNotice(problem=str(error))
        choices = [self._similar_images_choice(request, field, image.known.object) for image in notice.images]
        context = {"notice": notice, "images": list(zip(notice.images, choices, strict=True))}
        return render(request, self.similar_images_notice_template, context)

    def _similar_images_choice(
        self, request: HttpRequest, field: AdminImageField, item: models.Model
    ) -> dict[str, str] | None:
        """Return what the window that opened this one needs to use an object that exists in place of a new one."""
        if IS_POPUP_VAR not in request.GET or field.inline is not None:
            return None
        name = request.GET.get(TO_FIELD_VAR, "")
        if name and not self.to_field_allowed(request, name):
            return None
        return {"value": str(item.serializable_value(name or self.opts.pk.attname)), "title": str(item)}

    def save_form(self, request: HttpRequest, form: Any, change: Any) -> Any:
        """Return the object of the page's form, after its files were read."""
        uploads = self._similar_images_uploads(request)
        for source in registry.get_sources_for_model(self.model):
            uploads.read(AdminImageField(request, self, source), form)
        return super().save_form(request, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """Save the inlines, after their files were read."""
        uploads = self._similar_images_uploads(request)
        inlines = {inline.model: inline for inline in self.get_inline_instances(request, form.instance)}
        for formset in formsets:
            for source in registry.get_sources_for_model(formset.model):
                field = AdminImageField(request, self, source, inlines.get(formset.model))
                for inline_form in formset.forms:
                    if field.inline is not None and inline_form not in formset.deleted_forms:
                        uploads.read(field, inline_form)
        super().save_related(request, form, formsets, change)
        uploads.is_saved = True

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the host's answer; once all is saved, with messages about the files that were there already."""
        response = super().changeform_view(request, *args, **kwargs)
        if request.method == "POST" and IS_POPUP_VAR not in request.POST:
            self._similar_images_uploads(request).report(self)
        return response

    def _similar_images_uploads(self, request: HttpRequest) -> SavedUploads:
        """Return the files of a request, those that were read so far."""
        uploads: SavedUploads = request.__dict__.setdefault("_similar_images_files", SavedUploads(request))
        return uploads


def _read_hash(request: HttpRequest) -> str:
    """Return the hash of the file where a smaller image was sent in its place, empty where it was sent itself."""
    text = request.POST.get("sha256", "")
    return text if re.fullmatch("[0-9a-f]{64}", text) else ""
