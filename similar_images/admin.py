"""The admin of records, and a mixin that shows similar objects on the change page of a host's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import models, transaction
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from . import dispatch, nearest, registry, search
from .models import IndexedImage

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
        sources = [self._similar_images_of(source, obj, request) for source in registry.of(type(obj))]
        return render_to_string(self.similar_images_template, {"sources": sources}, request)

    def _similar_images_of(
        self, source: registry.ImageSource, obj: models.Model, request: HttpRequest
    ) -> dict[str, Any]:
        objects = self.get_queryset(request)
        matches = search.similar_among(source, obj, objects, limit=self.similar_images_limit)
        # The page that compares two shows those that `visible` does, which may be fewer than the admin shows.
        seen = nearest.plain(source, source.visible_to(request))
        keys = [obj.pk, *(match.object.pk for match in matches)]
        pks = set(seen.filter(pk__in=keys).values_list("pk", flat=True)) if matches else set()
        return {
            "source": source,
            "key": source.key_of(obj) if obj.pk in pks else "",
            "status": search.status_of(source, obj.pk),
            "matches": [
                {
                    "match": match,
                    "url": _change_url(self, match.object._meta, match.object.pk),
                    "key": match.key if match.object.pk in pks else "",
                }
                for match in matches
            ],
        }


def _change_url(model_admin: Any, meta: Any, pk: Any) -> str:
    """The change page of an object on the same admin site, empty where its model has none."""
    name = f"admin:{meta.app_label}_{meta.model_name}_change"
    try:
        return reverse(name, args=[quote(pk)], current_app=model_admin.admin_site.name)
    except NoReverseMatch:
        return ""


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
        source = record.source.registered
        url = _change_url(self, source.model._meta, record.object_id) if source else ""
        return format_html('<a href="{}">{}</a>', url, record.object_id) if url else record.object_id

    @admin.display(description=_("size"))
    def size(self, record: IndexedImage) -> str:
        return f"{record.width} × {record.height}" if record.width else ""

    @admin.action(description=_("Index again"), permissions=["change"])
    def index_again(self, request: HttpRequest, queryset: models.QuerySet[IndexedImage]) -> None:
        count = IndexedImage.objects.filter(pk__in=queryset.values("pk")).reset()
        transaction.on_commit(dispatch.wake)
        message = ngettext(
            "%(count)d picture will be indexed again.", "%(count)d pictures will be indexed again.", count
        )
        self.message_user(request, message % {"count": count})
