"""The map of a source as one user may see it: points, thumbnails, and the images in the order of a list."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from django.contrib.admin import ModelAdmin
from django.db.models import F
from django.utils.functional import cached_property

from ..models import IndexedImage, IndexedImageQuerySet, Map, ReindexRequest, Source
from ..similarity_map.state import MAX_MAPPED, is_busy
from ..similarity_map.tiles import TILE_SIDE, join_tiles
from ..sources.source import ImageSource
from .map_filters import MapFilters, find_list_admin
from .object_access import ObjectAccess
from .viewable_objects import decides_by_object_or_owner, records_of_images

TILES_A_REQUEST = 1_024
"""Thumbnails that a browser asks for at a time, about."""

COORDINATES = 2**16 - 1
"""Steps of a coordinate in what a browser gets."""


class SourceMap:
    """The map of a source, with those images that the user may see, and that the filters of the request leave.

    An image has a place on it only as long as its file is the one that the place was found for.
    """

    def __init__(self, user_access: ObjectAccess, row: Source, source: ImageSource) -> None:
        """Read the filters of the request.

        Raises:
            WrongFilters: there are no such filters.
        """
        self.access = user_access
        self.row = row
        self.source = source
        self.list_admin: ModelAdmin[Any] | None = find_list_admin(user_access, source)
        self.filters = MapFilters(user_access, source, self.list_admin) if self.list_admin else None
        self.map = Map.objects.filter(source=row).first()

    @cached_property
    def records(self) -> IndexedImageQuerySet:
        """The indexed images that are shown, or would be if they had a place."""
        images = self.access.images(self.source)
        if self.filters:
            images = self.filters.apply(images)
        found = records_of_images(self.access, self.row, self.source, images)
        records = IndexedImage.objects.filter(source=self.row) if found is None else found
        return records.filter(sha256__gt="")

    @property
    def mapped_records(self) -> IndexedImageQuerySet:
        """The images that have a place, in the order of the list, in which neighbors stand together."""
        waiting = ReindexRequest.objects.all()
        current = self.records.filter(map_point__map=self.map, map_point__sha256=F("sha256"))
        current = current.exclude(object_id__in=waiting.filter(source=self.row.pk).values("object_id"))
        current = current.exclude(file_name__in=waiting.exclude(file_name="").values("file_name"))
        return current.order_by("map_point__position", "pk")

    @property
    def is_checked_by_object(self) -> bool:
        """Tell whether permissions are asked for each object, which is done for a limited number alone."""
        return decides_by_object_or_owner(self.access, self.source)

    @property
    def is_sample(self) -> bool:
        """Tell whether the map is full, so that not all images can be on it; of those who see all, only."""
        is_whole = not (self.filters and self.filters.query) and self.access.lists_all(self.source)
        return is_whole and self.map is not None and self.records.count() > MAX_MAPPED

    @property
    def is_busy(self) -> bool:
        """Tell whether a worker is busy with the map, or will be."""
        return self.map is not None and (is_busy(self.map) or self.map.requested_at is not None)

    def describe_points(self) -> dict[str, Any]:
        """Return the places of the images, and the size of each within its thumbnail, as lists in one order.

        `sheets` are the first and last position of each request for thumbnails.
        """
        point = ("map_point__x", "map_point__y", "map_point__position")
        rows = list(self.mapped_records.values_list("pk", "width", "height", *point)[:MAX_MAPPED])
        sizes = [_size_in_tile(width, height) for _pk, width, height, *_point in rows]
        chunks = [rows[start : start + TILES_A_REQUEST] for start in range(0, len(rows), TILES_A_REQUEST)]
        return {
            "ids": [row[0] for row in rows],
            "x": [round(row[3] * COORDINATES) for row in rows],
            "y": [round(row[4] * COORDINATES) for row in rows],
            "widths": [width for width, _height in sizes],
            "heights": [height for _width, height in sizes],
            "sheets": [[chunk[0][5], chunk[-1][5]] for chunk in chunks],
            "busy": self.is_busy,
        }

    def list_tiles(self, first: int, last: int) -> list[tuple[int, str]]:
        """Return the record and the SHA-256 of each thumbnail between two positions."""
        made = self.mapped_records.filter(map_point__position__range=(first, last), map_point__tile__isnull=False)
        return list(made.values_list("pk", "sha256")[: 2 * TILES_A_REQUEST])

    def pack_tiles(self, tiles: Sequence[tuple[int, str]]) -> bytes:
        """Return thumbnails as sheets: the length of a JSON text in four bytes, the text, and JPEGs one after another.

        The text has the `ids` of the records, and the `lengths` of the JPEGs.
        """
        rows = self.mapped_records.filter(pk__in=[pk for pk, _sha256 in tiles], map_point__tile__isnull=False)
        found = list(rows.values_list("pk", "map_point__tile"))
        sheets = join_tiles(bytes(tile or b"") for _pk, tile in found)
        text = json.dumps({"ids": [pk for pk, _tile in found], "lengths": [len(sheet) for sheet in sheets]}).encode()
        return b"".join([len(text).to_bytes(4), text, *sheets])


def make_tiles_etag(tiles: Sequence[tuple[int, str]]) -> str:
    """Return the validator of an answer with these thumbnails."""
    return f'"{hashlib.sha256(json.dumps(tiles).encode()).hexdigest()}"'


def _size_in_tile(width: int | None, height: int | None) -> tuple[int, int]:
    """Return width and height of an image in its tile, whose longer side it fills."""
    width, height = width or 1, height or 1
    scale = TILE_SIDE / max(width, height)
    return max(round(scale * width), 1), max(round(scale * height), 1)
