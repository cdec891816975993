"""The page in the admin that tells how the index is, and what to do where something is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import conf
from ..indexing import notify
from ..indexing.backend_copies import BackendLag, lag_of
from ..indexing.health import SourceHealth, VersionHealth, source_health, sweep_is_late, versions_health
from ..models import Health, IndexedImage, IndexedImageQuerySet, Source, write_alias
from .object_access import ObjectAccess
from .page_admin import PageAdmin, PageView, name_source
from .viewable_objects import decides_by_object_or_owner, viewable_images, viewable_records, viewable_sources


@dataclass(frozen=True)
class HealthRow:
    """A source on the page, with what the user may see of it.

    `is_whole` tells that this is all of it: only then figures of the whole index are told. `lag` is that of the
    search backend, None without one. `records_url` is the
    address of the list of its records, empty where the user may not open it.
    """

    source: Source
    label: str
    health: SourceHealth
    is_whole: bool
    can_retry: bool
    records_url: str
    versions: list[VersionHealth] = field(default_factory=list)
    is_sweep_late: bool = False
    lag: BackendLag | None = None

    @property
    def is_unregistered(self) -> bool:
        """Tell whether the source is no longer registered."""
        return self.source.image_source is None

    @property
    def plain(self) -> int:
        """The number of images with too little detail for the method that finds it in most of them."""
        active = (each for each in self.versions if each.version.is_active and each.is_searched)
        return max((each.plain for each in active), default=0)


@admin.register(Health)
class HealthAdmin(PageAdmin):
    """The health of the index."""

    health_template = "similar_images/admin_health.html"
    """Template of the page."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may see objects of any source."""
        return any(True for _source in viewable_sources(ObjectAccess(self.admin_site, request)))

    def page_views(self) -> Sequence[PageView]:
        """Return the view of the button that has failed images tried again."""
        return [("retry/", self.retry_view, "retry")]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the health of every source of which the user may see something."""
        rows = self._rows(request)
        if not rows:
            raise PermissionDenied
        context = {
            "title": _("Health of the index"),
            "rows": rows,
            "is_working": any(row.health.counts[IndexedImage.Status.PENDING] for row in rows),
            "is_stuck": any(row.health.is_stuck for row in rows),
            "is_sweep_late": any(row.is_sweep_late for row in rows),
            **(extra_context or {}),
        }
        return self.render(request, self.health_template, context)

    def retry_view(self, request: HttpRequest) -> HttpResponse:
        """Have the images of a source that failed for one reason tried again."""
        if request.method != "POST":
            raise PermissionDenied
        seen = {str(source.pk): (source, records) for source, records in self._viewable_records(request)}
        source, records = seen.get(request.POST.get("source", ""), (None, None))
        if source is None or not self._can_retry(request, source):
            raise PermissionDenied
        failed = self._records_of(source, records).filter(
            status=IndexedImage.Status.FAILED, error=request.POST.get("error", "")
        )
        count = IndexedImage.primary.filter(pk__in=self._changeable(request, source, failed)).reset()
        transaction.on_commit(notify.notify_workers, using=write_alias(), robust=True)
        message = ngettext("%(count)d image will be tried again.", "%(count)d images will be tried again.", count)
        self.message_user(request, message % {"count": count})
        return self.redirect_to_page()

    def _rows(self, request: HttpRequest) -> list[HealthRow]:
        seen = list(self._viewable_records(request))
        whole = [source for source, records in seen if records is None]
        versions = versions_health([source for source in whole if source.image_source is not None])
        has_backend = conf.get().search_backend is not None
        rows = []
        for source, records in seen:
            image_source = source.image_source
            is_whole = records is None
            rows.append(
                HealthRow(
                    source=source,
                    label=name_source(source),
                    health=source_health(self._records_of(source, records)),
                    is_whole=is_whole,
                    can_retry=self._can_retry(request, source),
                    records_url=self._records_url(request, source),
                    versions=versions.get(source.pk, []),
                    is_sweep_late=image_source is not None and sweep_is_late(source),
                    lag=lag_of(source) if is_whole and has_backend else None,
                )
            )
        return sorted(rows, key=lambda row: (row.is_unregistered, row.label))

    def _viewable_records(self, request: HttpRequest) -> Iterator[tuple[Source, IndexedImageQuerySet | None]]:
        """Yield each source that the user may look at, and the records of the objects in question; None for all.

        Who may see all images and all of their owners is told of images without an owner, too: they only count.
        """
        user_access = ObjectAccess(self.admin_site, request)
        for source, records in viewable_records(user_access):
            image_source = source.image_source
            is_whole = image_source is not None and user_access.lists_all(image_source)
            yield source, None if is_whole else records

    def _records_of(self, source: Source, records: IndexedImageQuerySet | None) -> IndexedImageQuerySet:
        return IndexedImage.objects.filter(source=source) if records is None else records

    def _can_retry(self, request: HttpRequest, source: Source) -> bool:
        image_source = source.image_source
        return image_source is not None and ObjectAccess(self.admin_site, request).can_change_some(image_source)

    def _changeable(self, request: HttpRequest, source: Source, records: IndexedImageQuerySet) -> list[int]:
        """Return the ids of those of the records whose objects, and their owners, the user may change."""
        keys = dict(records.values_list("object_id", "pk"))
        image_source, user_access = source.image_source, ObjectAccess(self.admin_site, request)
        if image_source is None or not decides_by_object_or_owner(user_access, image_source):
            return [*keys.values()]
        images = image_source.as_filterable(user_access.images(image_source)).filter(pk__in=list(keys))
        return [
            keys[image_source.object_id(image.pk)]
            for image, owner in viewable_images(user_access, image_source, images)
            if user_access.can_change({image, owner} if not user_access.has_own_admin(type(image)) else [image])
        ]

    def _records_url(self, request: HttpRequest, source: Source) -> str:
        if not self.admin_site.is_registered(IndexedImage):
            return ""
        if not self.admin_site.get_model_admin(IndexedImage).has_view_permission(request):
            return ""
        url = reverse("admin:similar_images_indexedimage_changelist", current_app=self.admin_site.name)
        return f"{url}?{urlencode({'source__id__exact': source.pk})}"
