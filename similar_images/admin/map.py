"""The map in the admin: similar images lie near each other, to be looked at, selected, and acted on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.urls import path, reverse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.translation import gettext as _

from ..models import IndexedImageQuerySet, Map, Source
from ..similarity_map.state import can_lay_out, request_update
from ..sources.source import ImageSource
from .map_actions import MapActions, SelectionRefused
from .map_filters import WrongFilters
from .object_access import ObjectAccess
from .page_admin import PageAdmin, PageView, name_source
from .source_map import SourceMap, make_tiles_etag
from .viewable_objects import MAX_CHECKED_OBJECTS, load_listed_objects, viewable_sources

ITEMS_A_PAGE = 48
"""Images on a page of the list."""

MAX_ITEMS_ASKED = 60
"""Images that a browser may ask about at a time."""


@admin.register(Map)
class MapAdmin(PageAdmin):
    """The map of the images of a source."""

    map_template = "similar_images/admin_map.html"
    """Template of the page."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may see objects of any source."""
        return bool(self._sources(request))

    def page_views(self) -> Sequence[PageView]:
        """Return the views of each source's map: the page, what its script fetches, and what is done by a button."""
        return [
            ("<int:source_id>/", self.source_view, "source"),
            ("<int:source_id>/points/", self.points_view, "points"),
            ("<int:source_id>/items/<str:ids>/", self.items_view, "items"),
            ("<int:source_id>/open/", self.open_view, "open"),
            ("<int:source_id>/update/", self.update_view, "update"),
        ]

    def get_urls(self) -> list[Any]:
        """Return the addresses, with that of thumbnails, which alone a browser may keep."""
        route = "<int:source_id>/tiles/<int:first>/<int:last>/"
        view = self.admin_site.admin_view(self.tiles_view, cacheable=True)
        return [path(route, view, name="similar_images_map_tiles"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the map of the first source that has one, or of the first."""
        rows = self._sources(request)
        if not rows:
            raise PermissionDenied
        mapped = set(Map.objects.values_list("source_id", flat=True))
        first = next((row for row in rows if row.pk in mapped), rows[0])
        return self._show(request, first, extra_context)

    def source_view(self, request: HttpRequest, source_id: int) -> HttpResponse:
        """Show the map of a source."""
        return self._show(request, self._row(request, source_id))

    def points_view(self, request: HttpRequest, source_id: int) -> HttpResponse:
        """Answer with the places of the images that the user may see."""
        return JsonResponse(self._map(request, source_id).describe_points())

    def tiles_view(self, request: HttpRequest, source_id: int, first: int, last: int) -> HttpResponseBase:
        """Answer with the thumbnails, between two positions, of the images that the user may see."""
        source_map = self._map(request, source_id)
        tiles = source_map.list_tiles(first, last)
        etag = make_tiles_etag(tiles)
        response = get_conditional_response(request, etag=etag)
        if response is None:
            response = HttpResponse(source_map.pack_tiles(tiles), "application/octet-stream", headers={"ETag": etag})
        patch_cache_control(response, private=True, no_cache=True)  # kept by the browser, which asks again each time
        return response

    def items_view(self, request: HttpRequest, source_id: int, ids: str) -> HttpResponse:
        """Answer with the title, the image, and the address of some images that the user may see."""
        source_map = self._map(request, source_id)
        return JsonResponse({"items": self._describe_items(source_map, _read_ids([ids])[:MAX_ITEMS_ASKED])})

    def open_view(self, request: HttpRequest, source_id: int) -> HttpResponse:
        """Lead to the page that acts on the selected images."""
        if request.method != "POST":
            raise PermissionDenied
        actions = MapActions(self, self._map(request, source_id))
        try:
            url = actions.find_url(request.POST.get("action", ""), _read_ids(request.POST.getlist("ids")))
        except SelectionRefused as refusal:
            self.message_user(request, str(refusal), messages.WARNING)
            return self._to_map(request, source_id)
        if url is None:
            raise Http404
        return HttpResponseRedirect(url)

    def update_view(self, request: HttpRequest, source_id: int) -> HttpResponse:
        """Have a worker update the map."""
        row = self._row(request, source_id)
        if request.method != "POST" or not self._can_update(request, row):
            raise PermissionDenied
        request_update(row)
        self.message_user(request, _("The map is being updated. This takes a few minutes."))
        return self._to_map(request, source_id)

    def _sources(self, request: HttpRequest) -> list[Source]:
        """Return the registered sources of which lists may show something to the user, by their names."""
        found = viewable_sources(ObjectAccess(self.admin_site, request))
        return sorted((row for row, images in found if images is not None), key=name_source)

    def _row(self, request: HttpRequest, source_id: int) -> Source:
        row = next((row for row in self._sources(request) if row.pk == source_id), None)
        if row is None:
            raise PermissionDenied
        return row

    def _map(self, request: HttpRequest, source_id: int) -> SourceMap:
        """Return what the user may see of a map.

        Raises:
            Http404: there are no such filters.
        """
        row = self._row(request, source_id)
        try:
            return SourceMap(ObjectAccess(self.admin_site, request), row, _source_of(row))
        except WrongFilters:
            raise Http404 from None

    def _can_update(self, request: HttpRequest, row: Source) -> bool:
        return ObjectAccess(self.admin_site, request).can_change_some(_source_of(row))

    def _to_map(self, request: HttpRequest, source_id: int) -> HttpResponse:
        url = self._url("source", source_id)
        return HttpResponseRedirect(f"{url}?{request.GET.urlencode()}" if request.GET else url)

    def _url(self, name: str, *args: Any) -> str:
        return reverse(f"admin:similar_images_map_{name}", args=args, current_app=self.admin_site.name)

    def _show(self, request: HttpRequest, row: Source, extra_context: Any = None) -> HttpResponse:
        try:
            source_map = SourceMap(ObjectAccess(self.admin_site, request), row, _source_of(row))
        except WrongFilters:
            return HttpResponseRedirect(request.path)
        page = Paginator(source_map.mapped_records, ITEMS_A_PAGE).get_page(request.GET.get("p"))
        count = page.paginator.count
        total = source_map.records.count()
        query = source_map.filters.query if source_map.filters else ""
        suffix = f"?{query}" if query else ""
        context = {
            "title": _("Map of images"),
            "sources": [
                (self._url("source", each.pk), name_source(each), each == row) for each in self._sources(request)
            ],
            "source_map": source_map,
            "source_label": name_source(row),
            "count": count,
            "total": total,
            "missing": max(total - count, 0),
            "max_checked": MAX_CHECKED_OBJECTS,
            "can_lay_out": can_lay_out(),
            "can_update": self._can_update(request, row),
            "urls": {name: self._url(name, row.pk) + suffix for name in ("points", "open", "update")},
            "tiles_url": self._url("tiles", row.pk, 0, 0) + suffix,
            "items_url": self._url("items", row.pk, 0) + suffix,
            "clear_url": request.path,
            "page": page,
            "pages": page.paginator.get_elided_page_range(page.number),
            "page_query": f"{query}&" if query else "",
            "items": self._describe_items(
                source_map, list(cast("IndexedImageQuerySet", page.object_list).values_list("pk", flat=True))
            ),
            "actions": MapActions(self, source_map).names,
            **(extra_context or {}),
        }
        return self.render(request, self.map_template, context)

    def _describe_items(self, source_map: SourceMap, ids: list[int]) -> list[dict[str, Any]]:
        """Return what is shown of images, in the order of their ids; of none that the user may not see."""
        found = dict(source_map.mapped_records.filter(pk__in=ids).values_list("pk", "object_id"))
        row, names = source_map.row, {pk: found[pk] for pk in ids if pk in found}
        listed = load_listed_objects(source_map.access, self, [(row, object_id) for object_id in names.values()])
        return [
            {"id": pk, "title": each.title, "url": each.url, "image": each.image_url}
            for pk, each in ((pk, listed[row.pk, object_id]) for pk, object_id in names.items())
        ]


def _source_of(row: Source) -> ImageSource:
    source: Any = row.image_source  # only registered ones are offered
    return cast("ImageSource", source)


def _read_ids(texts: Iterable[str]) -> list[int]:
    """Return the ids of records in parameters, each with one or several between commas; others are left out."""
    return [int(text) for each in texts for text in each.split(",") if text.isdecimal() and len(text) < 19]
