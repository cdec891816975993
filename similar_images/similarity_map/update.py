"""Updates of maps: images are laid out, or added to the layout, and get their thumbnails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connections, transaction
from django.db.models import F
from django.db.models.fields.files import FieldFile
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import conf
from ..imaging import decode
from ..imaging.files import read_stored, sha256_of
from ..imaging.opencv import single_core
from ..models import WRITE_CHUNK, IndexedImage, Map, MapPoint, Source, write_alias
from ..sources.source import ImageSource
from .layout import Points, curve_index, lay_out, place_near
from .state import can_lay_out, idle_condition, requested_maps, stored_maps
from .tiles import make_tile
from .vectors import MappedImages, choose_method, read_vectors

logger = logging.getLogger("similar_images")

MAX_ADDED_SHARE = 0.2
"""Share of points that were added beside their neighbors, above which all are laid out anew."""

TILES_AT_ONCE = 50
"""Thumbnails that are written together."""

Advance = Callable[[int], Any]
"""Is told of thumbnails that were made, by their number."""


@dataclass(frozen=True)
class MapUpdate:
    """The result of an update: images on the map, of all that could be; whether all were laid out; thumbnails missing.

    `error` says why nothing was done; it is empty otherwise.
    """

    mapped: int = 0
    count: int = 0
    is_laid_out: bool = False
    without_tile: int = 0
    error: str = ""


def update_requested_maps() -> int:
    """Make the updates that were asked for; return how many were made."""
    count = 0
    for image_map in list(requested_maps().select_related("source")):
        source = image_map.source.image_source
        if source is None:
            stored_maps().filter(pk=image_map.pk).update(requested_at=None)
        elif update_map(source) is not None:
            count += 1
    return count


def update_map(source: ImageSource, *, anew: bool = False, advance: Advance | None = None) -> MapUpdate | None:
    """Bring the map of a source up to date; None where another worker does so.

    Images that are not on the map are added beside their nearest neighbors; all are laid out anew where the method has
    another version, or too many were added since. Then thumbnails are made that are missing.

    Args:
        source: the source.
        anew: lay out all images.
        advance: is told of thumbnails.
    """
    Source.objects.create_missing([source])
    image_map, _created = stored_maps().get_or_create(source_id=Source.objects.get_id(source))
    this, now = stored_maps().filter(pk=image_map.pk), timezone.now()
    if not this.filter(idle_condition()).update(started_at=now, requested_at=None):
        return None
    result = MapUpdate(error=_("The update was interrupted."))
    try:
        result = _update(source, image_map, anew, advance)
    except Exception as error:
        result = MapUpdate(error=str(error) or repr(error))
        raise
    finally:
        this.update(started_at=None, error=result.error.replace("\0", ""))
    return result


def _update(source: ImageSource, image_map: Map, anew: bool, advance: Advance | None) -> MapUpdate:
    if not can_lay_out():
        return MapUpdate(error=_('A map needs scikit-learn: pip install "similar_images[learn]".'))
    spec = choose_method(source)
    if spec is None:
        return MapUpdate(error=_("The ranking has no method whose signatures can be laid out, such as “embedding”."))
    images = read_vectors(source, spec)
    is_current = (image_map.method, image_map.version) == (spec.name, spec.version) and not anew
    is_laid_out = _place_images(image_map, images, is_current)
    if is_laid_out:
        stored_maps().filter(pk=image_map.pk).update(
            method=spec.name, version=spec.version, laid_out_at=timezone.now(), started_at=timezone.now()
        )
    _make_missing_tiles(source, image_map, advance or (lambda count: None))
    points = MapPoint.objects.using(write_alias()).filter(map=image_map)
    return MapUpdate(points.count(), images.count, is_laid_out, points.filter(tile=None).count())


def _place_images(image_map: Map, images: MappedImages, is_current: bool) -> bool:
    """Write the points of images, new ones alone where that will do; return whether all were laid out."""
    of_map = MapPoint.objects.using(write_alias()).filter(map=image_map)
    digests = dict(zip(images.record_ids.tolist(), images.digests, strict=True))
    stored = {row[0]: row[1:] for row in of_map.values_list("record_id", "sha256", "x", "y", "is_added")}
    gone = [pk for pk, (digest, *_rest) in stored.items() if digests.get(pk) != digest]
    _write_in_chunks(gone, lambda pks: of_map.filter(pk__in=pks).delete())
    is_known = np.array([stored.get(pk, [""])[0] == digest for pk, digest in digests.items()], bool)
    added = (~is_known).sum() + sum(is_added for *_rest, is_added in stored.values())
    if is_current and is_known.any() and added <= MAX_ADDED_SHARE * len(digests):
        if not is_known.all():
            known = np.array([stored[pk][1:3] for pk in images.record_ids[is_known].tolist()])
            placed = place_near(images.vectors[is_known], known, images.vectors[~is_known])
            _write_points(image_map, images.record_ids[~is_known].tolist(), digests, placed, is_added=True)
        return False
    _write_points(image_map, images.record_ids.tolist(), digests, lay_out(images.vectors), is_added=False)
    return True


def _write_points(
    image_map: Map, record_ids: Sequence[int], digests: dict[int, str], points: Points, *, is_added: bool
) -> None:
    places = dict(zip(record_ids, zip(points.tolist(), curve_index(points).tolist(), strict=True), strict=True))

    def write(pks: list[int]) -> None:
        rows = [
            MapPoint(
                record_id=pk,
                map=image_map,
                x=places[pk][0][0],
                y=places[pk][0][1],
                position=places[pk][1],
                is_added=is_added,
                sha256=digests[pk],
            )
            for pk in pks
        ]
        MapPoint.objects.using(write_alias()).bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["record"],
            update_fields=["map", "x", "y", "position", "is_added"],  # a stored one has the same SHA-256, and its tile
        )

    _write_in_chunks(record_ids, write, digests)


def _write_in_chunks(
    record_ids: Sequence[int], write: Callable[[list[int]], Any], digests: dict[int, str] | None = None
) -> None:
    """Write to points in chunks, each in a transaction of its own, in which their records are locked.

    Those that another transaction has locked, or whose image is another by now, are skipped until the next update.
    """
    using = write_alias()
    for start in range(0, len(record_ids), WRITE_CHUNK):
        with transaction.atomic(using=using):
            records = IndexedImage.primary.filter(pk__in=record_ids[start : start + WRITE_CHUNK]).order_by("pk")
            locked = records.select_for_update(skip_locked=True, of=("self",), no_key=True)
            rows = list(locked.values_list("pk", "sha256"))
            write([pk for pk, digest in rows if digests is None or digests[pk] == digest])


def _make_missing_tiles(source: ImageSource, image_map: Map, advance: Advance) -> None:
    points = MapPoint.objects.using(write_alias()).filter(map=image_map, tile=None, record__sha256=F("sha256"))
    rows = list(points.order_by("position", "pk").values_list("pk", "sha256", "record__object_id", "record__file_name"))
    with single_core(), ThreadPoolExecutor(2, thread_name_prefix="similar_images_tiles") as executor:
        for chunk in _chunks(rows):
            names = {object_id: name for _pk, _sha256, object_id, name in chunk}
            files = source.get_files(names, using=write_alias())
            tiles = list(executor.map(lambda row, files=files: _read_tile(files.get(row[2]), row[1]), chunk))
            made = {pk: tile for (pk, *_rest), tile in zip(chunk, tiles, strict=True) if tile is not None}
            digests = {pk: digest for pk, digest, *_rest in chunk}
            _write_in_chunks([*made], lambda pks, made=made: _write_tiles(pks, made), digests)  # type: ignore[misc]
            stored_maps().filter(pk=image_map.pk).update(started_at=timezone.now())
            advance(len(chunk))


def _chunks(rows: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(rows), TILES_AT_ONCE):
        yield rows[start : start + TILES_AT_ONCE]


def _read_tile(file: FieldFile | None, sha256: str) -> bytes | None:
    """Return the tile of a file, on a thread; None where it can't be read, or has changed."""
    if file is None:
        return None
    try:
        data = read_stored(file, max_bytes=conf.get().max_bytes)
        if sha256_of(data) != sha256:
            return None
        return make_tile(decode.decode(data, max_pixels=conf.get().max_pixels).pixels)
    except decode.INTERRUPTIONS:
        raise
    except Exception as error:  # codecs and storages may raise anything; the point stays without a thumbnail
        logger.warning("The thumbnail of %r could not be made: %r", file.name, error)
        return None
    finally:
        connections.close_all()  # of this thread, if the storage keeps its files in a database


def _write_tiles(pks: list[int], tiles: dict[int, bytes]) -> None:
    rows = [MapPoint(pk=pk, tile=tiles[pk]) for pk in pks]
    MapPoint.objects.using(write_alias()).bulk_update(rows, ["tile"])
