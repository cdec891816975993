"""The indexed images of a source, as a collection in which duplicates are found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_

from django.db.models import Count, Exists, Min, OuterRef, Q
from django.db.models.fields.files import FieldFile
from django.utils.functional import cached_property

from .. import conf, marks
from ..imaging.files import read_stored
from ..indexing.versions import active_versions
from ..models import IndexedImage, IndexedImageQuerySet, Signature
from ..printable import make_printable
from ..search.candidates import score_rows, search_candidates
from ..search.query_vectors import stored_vector
from ..signatures.base import MethodSpec
from ..sources.source import ImageSource
from .images import ExactDuplicate, ImageCollection, Neighbors, ScannedImage, split_exact_duplicates

READ_CHUNK = 100
"""Records that are read at a time."""

NEIGHBOR_OVERFETCH = 20
"""Neighbors fetched beyond those wanted, as several of them may be the same file."""


@dataclass(frozen=True)
class StoredImage(ScannedImage):
    """An image of a source, and the id of its object."""

    object_id: str
    file: FieldFile


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
        self.distinct_count = len(self._keys)
        active = active_versions(source)
        self._methods = {name: spec for name, spec in active.items() if not methods or name in methods}
        self._unlike = {frozenset(ids) for *ids, is_alike in marks.marked_pairs(source) if not is_alike}

    @cached_property
    def missing_message(self) -> str:
        """A message on objects whose files no method has described; empty if there are none."""
        with_file = self.source.with_file()
        versions = (Q(method=spec.name, version=spec.version) for spec in self._methods.values())
        signatures = Signature.objects.filter(reduce(or_, versions), record=OuterRef("pk"))
        indexed = self._records.for_objects(self.source, with_file).filter(Exists(signatures))
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
        """Search for the neighbors of each image by its stored signatures."""
        for start in range(0, len(self._keys), READ_CHUNK):
            keys = self._keys[start : start + READ_CHUNK]
            records = self._records.in_bulk(keys)
            methods = self._describing_methods(keys)
            for key in keys:
                yield key, self._neighbors_of(records[key], methods[key], nearest) if key in records else {}

    def load(self, keys: Iterable[int]) -> dict[int, ScannedImage]:
        """Read the records with these ids."""
        return self._images(self._records.filter(pk__in=list(keys)))

    def is_marked_unlike(self, a: ScannedImage, b: ScannedImage) -> bool:
        """Return whether the two objects are marked as not similar."""
        return frozenset(image.object_id for image in (a, b) if isinstance(image, StoredImage)) in self._unlike

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

    def _describing_methods(self, keys: Collection[int]) -> dict[int, list[MethodSpec]]:
        """Return the methods with a usable signature of each of these records."""
        methods: dict[int, list[MethodSpec]] = defaultdict(list)
        signatures = Signature.objects.filter(record__in=keys, low_detail=False, method__in=self._methods)
        for key, name, version in signatures.values_list("record_id", "method", "version"):
            if self._methods[name].version == version:
                methods[key].append(self._methods[name])
        return methods

    def _neighbors_of(self, record: IndexedImage, methods: Iterable[MethodSpec], nearest: int) -> Neighbors:
        """Search for neighbors of other content, each represented by the first record with its file."""
        vectors = [stored_vector(spec, record.pk) for spec in methods]
        if not vectors:
            return {}
        weights = dict.fromkeys((vector.spec.name for vector in vectors), 1.0)
        limit = nearest + NEIGHBOR_OVERFETCH
        others = self._records.exclude(sha256=record.sha256)
        rows = search_candidates(self.source, vectors, others, dict.fromkeys(weights, limit), limit)
        first = self._first_records([row.record_id for row in rows])
        matches = score_rows(vectors, rows, weights, refine=False)
        return {first[key]: match.scores for match in matches if (key := match.candidate.record_id) in first}

    def _first_records(self, keys: Collection[int]) -> dict[int, int]:
        """Map records to the first one with the same file."""
        digests = dict(self._records.filter(pk__in=keys).values_list("pk", "sha256"))
        same_files = self._records.filter(sha256__in=set(digests.values())).order_by()
        first = dict(same_files.values_list("sha256").annotate(Min("pk")))
        return {key: first[sha256] for key, sha256 in digests.items()}
