"""The admin of records, and a mixin that shows similar objects on the change page of a host's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from . import marks, registry
from .forms import MarkForm
from .indexing import notify
from .models import IndexedImage, Mark, Source
from .search import explain
from .search.matches import Explanation, search_among, similar_among

if TYPE_CHECKING:
    Mixed = admin.ModelAdmin[Any]
else:
    Mixed = object


class SimilarImagesMixin(Mixed):
    """Mix into a ModelAdmin, first: the change page then ends with the objects that look alike.

    Shown are those that the model's admin itself lists, whatever the source's `visible` says.
    """

    similar_images_limit = 6
    similar_images_template = "similar_images/admin_panel.html"

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return (*fields, "similar_images") if obj else fields

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        sections = [
            (name, options | {"fields": [field for field in options["fields"] if field != "similar_images"]})
            for name, options in super().get_fieldsets(request, obj)
        ]
        return [*sections, (_("Similar images"), {"fields": ["similar_images"]})] if obj else sections

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> models.Model | None:
        obj: models.Model | None = super().get_object(request, *args, **kwargs)
        if obj is not None:
            obj.__dict__["_similar_images_request"] = request
        return obj

    @admin.display(description=_("Look alike"))
    def similar_images(self, obj: models.Model) -> SafeString:
        request = obj.__dict__["_similar_images_request"]
        sources = [
            self._similar_images_of(source, obj, request) for source in registry.get_sources_for_model(type(obj))
        ]
        return render_to_string(self.similar_images_template, {"sources": sources}, request)

    def _similar_images_of(
        self, source: registry.ImageSource, obj: models.Model, request: HttpRequest
    ) -> dict[str, Any]:
        objects = self.get_queryset(request)
        matches = similar_among(source, obj, objects, limit=self.similar_images_limit)
        # The page that compares two shows those that `visible` does, which may be fewer than the admin shows.
        seen = source.as_filterable(source.visible_to(request))
        keys = [obj.pk, *(match.object.pk for match in matches)]
        pks = set(seen.filter(pk__in=keys).values_list("pk", flat=True)) if matches else set()
        return {
            "source": source,
            "key": source.format_key(obj) if obj.pk in pks else "",
            "status": IndexedImage.objects.get_status(source, obj.pk),
            "pair_url": self._pair_url(source, obj),
            "matches": [
                {
                    "match": match,
                    "url": _change_url(self, match.object._meta, match.object.pk),
                    "pair_url": self._pair_url(source, obj, match.object),
                    "key": match.key if match.object.pk in pks else "",
                    "parts": _parts(match.scores, match.distances, match.explanation),
                }
                for match in matches
            ],
        }

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.similar_images_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_similar_images"
        return [path("<path:object_id>/similar-images/", view, name=name), *super().get_urls()]

    def similar_images_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say of an object and another one whether they are alike, and why the other is among its matches, or not."""
        obj = self.get_object(request, unquote(object_id))
        if not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        data = request.POST if request.method == "POST" else request.GET
        try:
            source = registry.get_source(type(obj), data.get("field") or None) if obj else None
        except registry.NotRegistered:
            source = None
        if obj is None or source is None:
            raise Http404
        form = MarkForm(data if "other" in data else None)
        other = self.get_object(request, form.cleaned_data["other"]) if form.is_valid() else None
        if other is None and form.is_bound and form.is_valid():
            form.add_error("other", explain.unknown_object().text)
        can_mark = other is not None and all(self.has_change_permission(request, item) for item in (obj, other))
        if request.method == "POST" and other is not None:
            if not can_mark:
                raise PermissionDenied
            return self._mark(request, source, obj, other, form.cleaned_data["alike"])
        context = {
            **self.admin_site.each_context(request),
            "title": _("Similar images of %(object)s") % {"object": obj},
            "opts": self.opts,
            "original": obj,
            "source": source,
            "form": form,
            "other": other,
            "can_mark": can_mark,
            **(self._pair(request, source, obj, other) if other is not None else {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "similar_images/admin_pair.html", context)

    def _pair(
        self, request: HttpRequest, source: registry.ImageSource, obj: models.Model, other: models.Model
    ) -> dict[str, Any]:
        here = search_among(source, obj, self.get_queryset(request), limit=self.similar_images_limit)
        reason = explain.explain_absence(here, other, tells_errors=True)
        visitors = explain.why_not(obj, other, field=source.field_name)
        return {
            "pair": [
                {
                    "title": item,
                    "image": getattr(item, source.field_name),
                    "url": _change_url(self, item._meta, item.pk),
                }
                for item in (obj, other)
            ],
            "reason": reason,
            "visitors": explain.invisible_object() if visitors.code == "unknown" else visitors,
            "parts": _parts(reason.scores, reason.distances),
            "mark": marks.get_mark(source, obj, other),
        }

    def _mark(
        self,
        request: HttpRequest,
        source: registry.ImageSource,
        obj: models.Model,
        other: models.Model,
        alike: bool | None,
    ) -> HttpResponse:
        try:
            if alike is None:
                marks.unmark(obj, other, field=source.field_name)
                self.message_user(request, _("The mark is taken back."))
            else:
                marks.mark(obj, other, alike=alike, field=source.field_name, user=request.user)
                self.message_user(request, _("Marked as alike.") if alike else _("Marked as not alike."))
        except ValueError as error:
            self.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(_change_url(self, self.opts, obj.pk) or request.path)

    def _pair_url(self, source: registry.ImageSource, obj: models.Model, other: models.Model | None = None) -> str:
        url = _url(self, self.opts, "similar_images", obj.pk)
        query = {"field": source.field_name} | ({"other": str(other.pk)} if other is not None else {})
        return f"{url}?{urlencode(query)}" if url else ""


def _parts(
    scores: dict[str, float], distances: dict[str, float], explanation: Explanation | None = None
) -> list[dict[str, Any]]:
    """What is told of every method that compared two pictures."""
    return [
        {
            "name": name,
            "score": score,
            "distance": distances[name],
            "weight": explanation.weights[name] if explanation else None,
            "found": explanation is not None and name in explanation.found_by,
        }
        for name, score in scores.items()
    ]


def _change_url(model_admin: Any, meta: Any, pk: Any) -> str:
    """The change page of an object on the same admin site, empty where its model has none."""
    return _url(model_admin, meta, "change", pk)


def _url(model_admin: Any, meta: Any, page: str, pk: Any) -> str:
    name = f"admin:{meta.app_label}_{meta.model_name}_{page}"
    try:
        return reverse(name, args=[quote(pk)], current_app=model_admin.admin_site.name)
    except NoReverseMatch:
        return ""


def _object_link(model_admin: Any, of: Source, object_id: str) -> SafeString | str:
    source = of.image_source
    url = _change_url(model_admin, source.model._meta, object_id) if source else ""
    return format_html('<a href="{}">{}</a>', url, object_id) if url else object_id


@admin.register(IndexedImage)
class IndexedImageAdmin(admin.ModelAdmin):
    list_display = [
        "__str__",
        "object_link",
        "status",
        "error",
        "size",
        "attempts",
        "requested_at",
        "indexed_at",
    ]
    list_filter = ["status", "source"]
    list_select_related = ["source"]
    search_fields = ["object_id", "file_name", "sha256"]
    actions = ["index_again"]
    ordering = ["-requested_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: IndexedImage | None = None) -> bool:
        return obj is None and super().has_change_permission(request)  # of the list, for its action

    def has_delete_permission(self, request: HttpRequest, obj: IndexedImage | None = None) -> bool:
        return False  # a record goes with its object; the sweep would make it anew

    def get_readonly_fields(self, request: HttpRequest, obj: IndexedImage | None = None) -> list[str]:
        return [field.name for field in IndexedImage._meta.fields]

    @admin.display(description=_("object"), ordering="object_id")
    def object_link(self, record: IndexedImage) -> SafeString | str:
        return _object_link(self, record.source, record.object_id)

    @admin.display(description=_("size"))
    def size(self, record: IndexedImage) -> str:
        return f"{record.width} × {record.height}" if record.width else ""

    @admin.action(description=_("Index again"), permissions=["change"])
    def index_again(self, request: HttpRequest, queryset: models.QuerySet[IndexedImage]) -> None:
        count = IndexedImage.objects.filter(pk__in=queryset.values("pk")).reset()
        transaction.on_commit(notify.notify_workers)
        message = ngettext(
            "%(count)d picture will be indexed again.", "%(count)d pictures will be indexed again.", count
        )
        self.message_user(request, message % {"count": count})


@admin.register(Mark)
class MarkAdmin(admin.ModelAdmin):
    """What editors said; a mark that is deleted is taken back."""

    list_display = ["__str__", "first", "second", "is_alike", "marked_by", "marked_at"]
    list_filter = ["is_alike", "source", ("marked_by", admin.RelatedOnlyFieldListFilter), "marked_at"]
    list_select_related = ["source", "marked_by"]
    search_fields = ["=first_id", "=second_id"]
    ordering = ["-marked_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Mark | None = None) -> bool:
        return False

    @admin.display(description=_("first object"), ordering="first_id")
    def first(self, mark: Mark) -> SafeString | str:
        return _object_link(self, mark.source, mark.first_id)

    @admin.display(description=_("second object"), ordering="second_id")
    def second(self, mark: Mark) -> SafeString | str:
        return _object_link(self, mark.source, mark.second_id)
