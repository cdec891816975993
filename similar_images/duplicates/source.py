"""The indexed images of a source, as a collection in which duplicates are found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isnan

from django.db.backends.utils import CursorWrapper
from django.db.models import Count, Exists, Min, OuterRef, QuerySet
from django.db.models.fields.files import FieldFile
from django.utils.functional import cached_property

from .. import conf, marks
from ..imaging.files import read_stored
from ..indexing.versions import active_versions
from ..models import IndexedImage, IndexedImageQuerySet, Signature, Source
from ..printable import make_printable
from ..search import sql
from ..signatures import storage
from ..signatures.base import MethodSpec, similarity_from_distance
from ..sources.source import ImageSource
from .images import ExactDuplicate, ImageCollection, Neighbors, ScannedImage, split_exact_duplicates

READ_CHUNK = 250
"""Images whose neighbors are looked for in one statement."""

NEIGHBOR_OVERFETCH = 20
"""Neighbors fetched beyond those wanted, as several of them may be the same file."""


@dataclass(frozen=True)
class StoredImage(ScannedImage):
    """An image of a source, and the id of its object."""

    object_id: str
    file: FieldFile


def find_shared_files(images: Iterable[ScannedImage]) -> dict[str, str]:
    """Return those of the images whose objects use one stored file, by their names: the name of the first of each."""
    first: list[StoredImage] = []
    sharing: dict[str, str] = {}
    for image in images:
        if not isinstance(image, StoredImage):
            continue
        other = next((other for other in first if is_same_stored_file(image.file, other.file)), None)
        if other is None:
            first.append(image)
        else:
            sharing[image.name] = other.name
    return sharing


def is_same_stored_file(a: FieldFile, b: FieldFile) -> bool:
    """Return whether two fields refer to one file in one storage, and not to two files of the same bytes."""
    return bool(a) and a.name == b.name and a.storage == b.storage


class SourceImages(ImageCollection):
    """The indexed images of a source, also those that visitors may not see; their keys are the records' ids.

    Args:
        source: the source.
        methods: methods that propose candidates, all enabled ones if empty.
    """

    def __init__(self, source: ImageSource, methods: Collection[str] = ()) -> None:
        self.source = source
        self.name = source.label
        self.count = self._records.count()
        first = self._records.values("sha256").annotate(first=Min("pk")).order_by("first")
        self._keys = list(first.values_list("first", flat=True))
        self._first = frozenset(self._keys)
        self.distinct_count = len(self._keys)
        active = active_versions(source)
        self._methods = {name: spec for name, spec in active.items() if not methods or name in methods}
        self._unlike = {frozenset(ids) for *ids, is_alike in marks.marked_pairs(source) if not is_alike}

    @cached_property
    def missing_message(self) -> str:
        """A message on objects whose files no method has described; empty if there are none."""
        with_file = self.source.with_file()
        indexed = self._records.for_objects(self.source, with_file).filter(Exists(self._signatures))
        missing = with_file.count() - indexed.count()
        if missing <= 0:
            return ""
        failures = IndexedImage.objects.for_source(self.source).filter(status=IndexedImage.Status.FAILED)
        failed = min(missing, failures.for_objects(self.source, with_file).count())
        messages = [
            f"left out as they are not indexed yet: {missing - failed}. Run “manage.py index_images”."
            if missing > failed
            else "",
            f"left out as they could not be processed: {failed}. Their image records say why." if failed else "",
        ]
        return "\n".join(f"{self.name}: {message}" for message in messages if message)

    def exact_duplicates(self) -> Iterable[ExactDuplicate]:
        """Return the records with the same SHA-256 as another, each with the first one."""
        repeated = self._records.values("sha256").annotate(count=Count("pk")).filter(count__gt=1).values("sha256")
        records = self._records.filter(sha256__in=repeated).order_by("pk")
        return split_exact_duplicates(self._images(records).values())[1]

    def neighbors(self, nearest: int) -> Iterator[tuple[int, Neighbors]]:
        """Join the stored signatures with themselves, some hundred images in one statement a method."""
        for start in range(0, len(self._keys), READ_CHUNK):
            keys = self._keys[start : start + READ_CHUNK]
            with sql.search_cursor() as cursor:
                proposed = {
                    (a, b) for spec in self._methods.values() for a, b in self._join(cursor, spec, keys, nearest)
                }
                similarities = self._similarities(cursor, sorted(proposed))
            neighbors: dict[int, dict[int, Mapping[str, float]]] = {key: {} for key in keys}
            for (a, b), by_method in similarities.items():
                neighbors[a][b] = by_method
            yield from neighbors.items()

    def load(self, keys: Iterable[int]) -> dict[int, ScannedImage]:
        """Read the records with these ids."""
        return self._images(self._records.filter(pk__in=list(keys)))

    def undescribed_images(self) -> list[ScannedImage]:
        """Read the records in which every active method found too little detail."""
        in_detail = self._signatures.filter(low_detail=False)
        records = self._records.filter(Exists(self._signatures), ~Exists(in_detail))
        return [image for key, image in sorted(self._images(records).items()) if key in self._first]

    def unlike_names(self, images: Iterable[ScannedImage]) -> set[tuple[str, str]]:
        """Return the names of those of the images whose objects are marked as not similar."""
        names = {image.object_id: image.name for image in images if isinstance(image, StoredImage)}
        pairs = (sorted(names[object_id] for object_id in ids) for ids in self._unlike if ids <= names.keys())
        return {(a, b) for a, b in pairs}

    def is_marked_unlike(self, a: ScannedImage, b: ScannedImage) -> bool:
        """Return whether the two objects are marked as not similar."""
        return frozenset(image.object_id for image in (a, b) if isinstance(image, StoredImage)) in self._unlike

    @property
    def _signatures(self) -> QuerySet[Signature]:
        """The signatures of a record by a method's active version, for a subquery."""
        return Signature.objects.filter(storage.versions_condition(self._methods.values()), record=OuterRef("pk"))

    @property
    def _records(self) -> IndexedImageQuerySet:
        return IndexedImage.objects.for_source(self.source).indexed()

    def _images(self, records: Iterable[IndexedImage]) -> dict[int, ScannedImage]:
        """Return the images of records by their keys, without those of objects that are gone."""
        by_object = {record.object_id: record for record in records}
        files = self.source.get_files({object_id: record.file_name for object_id, record in by_object.items()})
        images: dict[int, ScannedImage] = {}
        for object_id, record in by_object.items():
            if file := files.get(object_id):
                read = partial(read_stored, file, max_bytes=conf.get().max_bytes)
                name = make_printable(f"{object_id}: {record.file_name}")
                size = record.width or 0, record.height or 0
                images[record.pk] = StoredImage(name, record.sha256, *size, read, object_id, file)
        return images

    def _join(
        self, cursor: CursorWrapper, spec: MethodSpec, keys: Sequence[int], nearest: int
    ) -> Iterator[tuple[int, int]]:
        """Yield each of these images with its nearest ones of other content by a method, as pairs of keys.

        Each content is represented by its first record. Where an index finds too few of them, as with many records of
        one file, all are compared.
        """
        has_index = getattr(spec, "has_index", False)
        found = self._nearest(cursor, spec, keys, nearest + NEIGHBOR_OVERFETCH if has_index else nearest, has_index)
        if has_index:
            short = [key for key, others in found.items() if len(others) < min(nearest, self.distinct_count - 1)]
            found |= self._nearest(cursor, spec, short, nearest, False) if short else {}
        return ((key, other) for key, others in found.items() for other in others[:nearest])

    def _nearest(
        self, cursor: CursorWrapper, spec: MethodSpec, keys: Sequence[int], count: int, by_index: bool
    ) -> dict[int, list[int]]:
        """Return the nearest first records of each of these, itself left out, the nearest first."""
        among = None if by_index else self._keys
        cursor.execute(*sql.neighbors_sql(Source.objects.get_id(self.source), spec, keys, count + 1, among))
        rows = sorted((key, distance, other) for key, other, distance in cursor.fetchall() if other != key)
        found: dict[int, list[int]] = {key: [] for key, _distance, _other in rows}
        for key, _distance, other in rows:
            if other in self._first:
                found[key].append(other)
        return found

    def _similarities(
        self, cursor: CursorWrapper, pairs: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], dict[str, float]]:
        """Return the similarities in percent of pairs, by the methods that described both."""
        specs = list(self._methods.values())
        if not specs or not pairs:
            return {}
        cursor.execute(*sql.pair_distances_sql(Source.objects.get_id(self.source), specs, pairs))
        return {
            (a, b): {
                spec.name: similarity_from_distance(spec.curve, distance)
                for spec, distance in zip(specs, distances, strict=True)
                if distance is not None and not isnan(distance)
            }
            for a, b, *distances in cursor.fetchall()
        }
