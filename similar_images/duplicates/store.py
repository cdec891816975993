"""Groups of duplicates in the database, for their review in the admin."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import combinations
from pathlib import PurePosixPath
from typing import Any

from django.db import transaction
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from ..imaging import decode
from ..models import DuplicateGroup, DuplicateImage, Source, write_alias
from ..printable import make_printable
from ..sources.source import ImageSource
from .detection import FoundDuplicates
from .graphs import connected_components
from .groups import PairGroup, group_connected, group_members, group_series
from .images import ImageCache
from .source import StoredImage
from .verification import VerifiedPair

FORMATS_BY_SUFFIX = {"JPG": "JPEG", "JFIF": "JPEG", "TIF": "TIFF", "HEIF": "HEIC"}
"""File formats whose files have other suffixes, too."""


def save_groups(source: ImageSource, duplicates: FoundDuplicates, beat: Callable[[], Any] = lambda: None) -> int:
    """Save the groups that were found, in place of those that are still to be reviewed; return how many are.

    Pairs that an editor said are no duplicates are left out. What was reviewed stays as it is.

    Args:
        source: the source.
        duplicates: what was found in it.
        beat: called after each group.
    """
    using = write_alias()
    groups = DuplicateGroup.objects.using(using).filter(source_id=Source.objects.get_id(source))
    dismissed = _dismissed_pairs(groups.filter(status=DuplicateGroup.Status.DISMISSED))
    pairs = [pair for pair in duplicates.pairs if _object_ids(pair) not in dismissed]
    keys, images = [], ImageCache()
    unlike = duplicates.unlike_names | _names_of(pairs, dismissed)
    for kind, group in _groups_by_kind(pairs, unlike):
        members = [image for image in group_members(group) if isinstance(image, StoredImage)]
        key = _group_key(kind, members)
        keys.append(key)
        if not groups.filter(key=key).exists():
            numbers = _number_equivalents(group)
            rows = [_measure(source, image, images, numbers[image.name]) for image in members]
            _save_group(source, kind, key, group, rows)
        beat()
    outdated = groups.filter(status=DuplicateGroup.Status.OPEN).exclude(key__in=keys)
    outdated.delete()
    return groups.filter(status=DuplicateGroup.Status.OPEN).count()


def _groups_by_kind(
    pairs: Sequence[VerifiedPair], unlike: set[tuple[str, str]]
) -> Iterator[tuple[DuplicateGroup.Kind, PairGroup]]:
    """Yield the groups of identical files, those of copies that are more than that, and the series."""
    for group in group_connected((pair for pair in pairs if pair.kind == "same-file"), unlike):
        yield DuplicateGroup.Kind.EXACT, group
    for group in group_connected((pair for pair in pairs if pair.is_copy), unlike):
        if any(pair.kind != "same-file" for pair in group):
            yield DuplicateGroup.Kind.COPIES, group
    for group in group_series(pairs, unlike):
        yield DuplicateGroup.Kind.SERIES, group


def _names_of(pairs: Iterable[VerifiedPair], dismissed: set[frozenset[str]]) -> set[tuple[str, str]]:
    """Return the names of those of the images that an editor dismissed, pair by pair."""
    images = (image for pair in pairs for image in (pair.a, pair.b) if isinstance(image, StoredImage))
    names = {image.object_id: image.name for image in images}
    found = (sorted(names[object_id] for object_id in ids) for ids in dismissed if ids <= names.keys())
    return {(a, b) for a, b in found}


def _number_equivalents(pairs: PairGroup) -> dict[str, int]:
    """Return a number for the name of each image, the same where nothing but size and encoding differs."""
    equal = ((pair.a.name, pair.b.name) for pair in pairs if pair.is_equivalent)
    every = ((image.name, image.name) for image in group_members(pairs))
    components = connected_components([*equal, *every])
    return {name: number for number, names in enumerate(components) for name in names}


def _save_group(source: ImageSource, kind: str, key: str, pairs: PairGroup, images: Sequence[DuplicateImage]) -> None:
    using = write_alias()
    with transaction.atomic(using=using):
        group = DuplicateGroup.objects.using(using).create(
            source_id=Source.objects.get_id(source),
            kind=kind,
            key=key,
            similarity=min(pair.similarity for pair in pairs),
            size=len(images),
        )
        for image in images:
            image.group, image.source_id = group, group.source_id
        DuplicateImage.objects.using(using).bulk_create(images)


def _dismissed_pairs(groups: Any) -> set[frozenset[str]]:
    """Return the pairs of object ids in these groups."""
    ids = DuplicateImage.objects.using(write_alias()).filter(group__in=groups).order_by("pk")
    members: dict[int, list[str]] = {}
    for group, object_id in ids.values_list("group_id", "object_id"):
        members.setdefault(group, []).append(object_id)
    return {frozenset(pair) for each in members.values() for pair in combinations(each, 2)}


def _object_ids(pair: VerifiedPair) -> frozenset[str]:
    return frozenset(image.object_id for image in (pair.a, pair.b) if isinstance(image, StoredImage))


def _group_key(kind: str, images: Iterable[StoredImage]) -> str:
    """Return a hash of a group's kind and its objects and files: the same where it is found again."""
    parts = sorted(f"{image.object_id}\0{image.sha256}" for image in images)
    return hashlib.sha256("\0\0".join([kind, *parts]).encode()).hexdigest()


def _measure(source: ImageSource, image: StoredImage, images: ImageCache, equivalence: int) -> DuplicateImage:
    """Return an image with what its file says of itself; of one that can't be read, without."""
    name = image.file.name or ""
    suffix = PurePosixPath(name).suffix.removeprefix(".").upper()
    row = DuplicateImage(
        object_id=image.object_id,
        object_key=int(image.object_id) if source.has_integer_key else None,
        file_name=make_printable(name),
        sha256=image.sha256,
        equivalence=equivalence,
        width=image.width,
        height=image.height,
        format=FORMATS_BY_SUFFIX.get(suffix, suffix)[:16],
    )
    try:
        row.bytes = image.file.size
        row.sharpness = sharpness_of(images, image)
    except decode.INTERRUPTIONS:
        raise
    except Exception:  # the file is gone, or storage is down; the group was found all the same
        return row
    row.modified_at = _modified_at(image.file)
    return row


def _modified_at(file: FieldFile) -> datetime | None:
    with suppress(NotImplementedError, OSError):  # not every storage knows it
        moment = file.storage.get_modified_time(str(file.name))
        return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
    return None


def sharpness_of(images: ImageCache, image: StoredImage) -> float:
    """Return the standard deviation of the Laplacian of an image that is reduced to the size of comparisons."""
    import cv2

    return float(cv2.Laplacian(images.load(image).gray, cv2.CV_64F).std())
