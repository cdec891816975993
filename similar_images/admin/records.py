"""The admin of image records: to look at, to have images indexed again, and to clear what belongs to no field."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..indexing import notify
from ..indexing.unregistered import unregistered_sources
from ..models import IndexedImage, Source, write_alias
from .labels import LabelsMixin
from .links import admin_page_url
from .object_access import ObjectAccess
from .viewable_objects import ListedObject, NamedRow, load_listed_objects, viewable_records


class RegistrationFilter(admin.SimpleListFilter):
    """Filter by whether the image field is still registered, where some are not."""

    title = _("registration")
    parameter_name = "registered"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choice of fields that are no longer registered, where there are some."""
        return [("no", _("No longer registered"))] if unregistered_sources() else []

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return the records of fields that are no longer registered."""
        return queryset.filter(source__in=unregistered_sources()) if self.value() == "no" else queryset


class SourceFilter(admin.RelatedFieldListFilter):
    """Filter by image field, in words; by those alone that the user may see something of."""

    def field_choices(
        self, field: Any, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, Any]]:
        """Return the key and the name of each field."""
        listed = model_admin.get_queryset(request).order_by()
        sources = Source.objects.filter(models.Exists(listed.filter(source=models.OuterRef("pk"))))
        choices: list[tuple[Any, str]] = [(source.pk, format_source(source)) for source in sources]
        return sorted(choices, key=itemgetter(1))


@admin.register(IndexedImage)
class IndexedImageAdmin(LabelsMixin, admin.ModelAdmin):
    """List image records with their object and status; none can be added or changed."""

    list_display = ["record", "item", "status", "reason", "size", "attempts", "requested_at", "indexed_at"]
    list_filter = ["status", ("source", SourceFilter), RegistrationFilter]
    list_select_related = ["source"]
    search_fields = ["object_id", "file_name", "sha256"]
    actions = ["index_again", "delete_unregistered"]
    ordering = ["-requested_at"]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[IndexedImage]:
        """Return the records of those objects that the user may look at in the admin."""
        condition = models.Q(pk__in=[])
        for source, records in viewable_records(ObjectAccess(self.admin_site, request)):
            own = {} if records is None else {"pk__in": records.values("pk")}
            condition |= models.Q(source=source, **own)
        return super().get_queryset(request).filter(condition)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: records are made by saving objects."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: IndexedImage | None = None) -> bool:
        """Return whether the user may have images processed again; no single record can be changed."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: IndexedImage | None = None) -> bool:
        """Return False: a record is deleted with its object, and the sweep would make a missing one again."""
        return False

    def has_clear_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may delete records, and there are some that belong to no registered field."""
        return super().has_delete_permission(request) and bool(unregistered_sources())

    def get_readonly_fields(self, request: HttpRequest, obj: IndexedImage | None = None) -> list[str]:
        """Return the names of all fields, with the reason of a failure where it can be acted upon."""
        names = ["item", *("reason" if field.name == "error" else field.name for field in IndexedImage._meta.fields)]
        return [*names, *super().get_readonly_fields(request, obj)]

    def get_fields(self, request: HttpRequest, obj: IndexedImage | None = None) -> Any:
        """Return the same."""
        return self.get_readonly_fields(request, obj)

    def get_urls(self) -> list[Any]:
        """Return the usual addresses, after that of the button on a failed image."""
        view = self.admin_site.admin_view(self.try_again_view)
        name = "similar_images_indexedimage_try_again"
        return [path("<int:object_id>/try-again/", view, name=name), *super().get_urls()]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, whose records know their objects."""
        changelist = super().get_changelist_instance(request)
        changelist.result_list = self._with_objects(request, changelist.result_list)
        return changelist

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> IndexedImage | None:
        """Return a record, which knows its object."""
        record = super().get_object(request, object_id, from_field)
        return self._with_objects(request, [record])[0] if record is not None else None

    def _with_objects(self, request: HttpRequest, records: Iterable[IndexedImage]) -> list[IndexedImage]:
        records = list(records)
        can_retry = self.has_change_permission(request)
        user_access = ObjectAccess(self.admin_site, request)
        listed = load_listed_objects(user_access, self, [(record.source, record.object_id) for record in records])
        for record in records:
            is_failed = record.status == IndexedImage.Status.FAILED and record.source.image_source is not None
            query = urlencode({"next": request.get_full_path()})
            url = admin_page_url(self, self.opts, "try_again", record.pk) if can_retry and is_failed else ""
            record.__dict__["_retry_url"] = f"{url}?{query}" if url else ""
            record.__dict__["_listed"] = listed[record.source.pk, record.object_id]
        return records

    def action_checkbox(self, record: IndexedImage) -> SafeString:
        """Return the checkbox of a record, labeled with its object and field."""
        listed: ListedObject = record.__dict__["_listed"]
        return super().action_checkbox(NamedRow(record.pk, f"{listed.title}, {format_source(record.source)}"))

    @admin.display(description=_("image record"), ordering="source")
    def record(self, record: IndexedImage) -> SafeString:
        """Return the image, and the field that it is in."""
        listed: ListedObject = record.__dict__["_listed"]
        return format_html("{} {}", listed.as_image(), format_source(record.source))

    @admin.display(description=_("object"), ordering="object_id")
    def item(self, record: IndexedImage) -> SafeString | str:
        """Return a link to the record's object."""
        listed: ListedObject = record.__dict__["_listed"]
        return listed.as_link()

    @admin.display(description=_("error"), ordering="error")
    def reason(self, record: IndexedImage) -> SafeString | str:
        """Return why the image could not be processed, with a button that has it processed again."""
        url = record.__dict__["_retry_url"]
        if not url:
            return record.error
        # A button within the form of the list, or of the page, which goes to an address of its own.
        button = '{} <button type="submit" class="button" formmethod="post" formaction="{}" formnovalidate>{}</button>'
        return format_html(button, record.error, url, gettext("Try again"))

    @admin.display(description=_("size"))
    def size(self, record: IndexedImage) -> str:
        """Return width × height in pixels, empty before the image is indexed."""
        return f"{record.width} × {record.height}" if record.width else ""

    def try_again_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Have one image processed again, and return to where the button was."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        records = self.get_queryset(request).filter(pk=object_id)
        if not records.exists():
            raise Http404
        self.index_again(request, records)
        back = request.GET.get("next", "")
        is_safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
        return HttpResponseRedirect(back if is_safe else admin_page_url(self, self.opts, "changelist"))

    @admin.action(description=_("Index selected images again"), permissions=["change"])
    def index_again(self, request: HttpRequest, queryset: models.QuerySet[IndexedImage]) -> None:
        """Request the indexing of the selected images; their signatures stay in use until then."""
        count = IndexedImage.primary.filter(pk__in=queryset.values("pk")).reset()
        transaction.on_commit(notify.notify_workers, using=write_alias(), robust=True)
        message = ngettext("%(count)d image will be indexed again.", "%(count)d images will be indexed again.", count)
        self.message_user(request, message % {"count": count})

    @admin.action(
        description=_("Delete selected records of fields that are no longer registered"), permissions=["clear"]
    )
    def delete_unregistered(self, request: HttpRequest, queryset: models.QuerySet[IndexedImage]) -> None:
        """Delete those of the selected records, with their signatures and marks, that belong to no registered field."""
        gone = unregistered_sources()
        pks = list(queryset.filter(source__in=gone).values_list("pk", flat=True))
        records = IndexedImage.primary.filter(pk__in=pks)
        records.remove()
        count = len(pks) - records.count()
        for source in gone:
            if not IndexedImage.primary.filter(source=source).exists():
                source.delete()
        message = ngettext("%(count)d record was deleted.", "%(count)d records were deleted.", count)
        self.message_user(request, message % {"count": count})


def format_source(row: Source) -> str:
    """Return a source in words; of a field that is no longer registered, its name, and that it is none."""
    source = row.image_source
    if source is None:
        return gettext("%(source)s (no longer registered)") % {"source": row}
    return f"{capfirst(source.model._meta.verbose_name)}: {source.field.verbose_name}"
