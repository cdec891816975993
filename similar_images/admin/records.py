"""The admin of image records: to look at, and to have images indexed again."""

from __future__ import annotations

from django.contrib import admin
from django.db import models, transaction
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..indexing import notify
from ..models import IndexedImage, write_alias
from .links import object_link
from .viewable_objects import viewable_records


@admin.register(IndexedImage)
class IndexedImageAdmin(admin.ModelAdmin):
    """List image records with their status; none can be added, changed or deleted."""

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

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[IndexedImage]:
        """Return the records of those objects that the user may look at in the admin."""
        condition = models.Q(pk__in=[])
        for source, records in viewable_records(self, request):
            own = {} if records is None else {"pk__in": records.values("pk")}
            condition |= models.Q(source=source, **own)
        return super().get_queryset(request).filter(condition)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: records are made by saving objects."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: IndexedImage | None = None) -> bool:
        """Return whether the user may run the list's action; no single record can be changed."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: IndexedImage | None = None) -> bool:
        """Return False: a record is deleted with its object, and the sweep would make a missing one again."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: IndexedImage | None = None) -> list[str]:
        """Return the names of all fields."""
        return [field.name for field in IndexedImage._meta.fields]

    @admin.display(description=_("object"), ordering="object_id")
    def object_link(self, record: IndexedImage) -> SafeString | str:
        """Return a link to the record's object."""
        return object_link(self, record.source, record.object_id)

    @admin.display(description=_("size"))
    def size(self, record: IndexedImage) -> str:
        """Return width × height in pixels, empty before the image is indexed."""
        return f"{record.width} × {record.height}" if record.width else ""

    @admin.action(description=_("Index selected images again"), permissions=["change"])
    def index_again(self, request: HttpRequest, queryset: models.QuerySet[IndexedImage]) -> None:
        """Request the indexing of the selected images; their signatures stay in use until then."""
        count = IndexedImage.primary.filter(pk__in=queryset.values("pk")).reset()
        transaction.on_commit(notify.notify_workers, using=write_alias(), robust=True)
        message = ngettext("%(count)d image will be indexed again.", "%(count)d images will be indexed again.", count)
        self.message_user(request, message % {"count": count})
