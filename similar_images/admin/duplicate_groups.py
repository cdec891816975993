"""Groups of duplicates as the pages of the review show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise

from ..duplicates.keeper import suggest_keeper
from ..duplicates.source import is_same_stored_file
from ..merging.undo import can_undo
from ..merging.uses import count_uses
from ..models import DuplicateGroup, DuplicateImage, Merge, write_alias
from ..sources.source import ImageSource
from .duplicate_access import DuplicateAccess


@dataclass(frozen=True)
class GroupImage:
    """An image of a group: its object, how it is shown, and how often it is used.

    Attributes:
        row: what was measured of the file.
        item: the object.
        title: the title of what comes back for it, such as its product, or its own.
        url: the address of the object's page in the admin, or of its owner's; empty where there is none.
        thumbnail: the address of a small image, or of the image.
        uses: the number of rows that refer to the object.
        keeper: the image that is suggested to be kept.
        reasons: why, if it is this one.
        shares_stored_file: whether the object uses the very file in the storage that the suggested one uses.
    """

    row: DuplicateImage
    item: Any
    title: str
    url: str
    thumbnail: str
    uses: int
    keeper: DuplicateImage
    reasons: Sequence[Promise]
    shares_stored_file: bool

    @property
    def object_id(self) -> str:
        """The id of the object."""
        return self.row.object_id

    @property
    def is_suggested(self) -> bool:
        """True if this image is suggested to be kept."""
        return self.row.pk == self.keeper.pk

    @property
    def is_same_file(self) -> bool:
        """True if the file has the same bytes as that of the image that is suggested."""
        return self.row.sha256 == self.keeper.sha256

    @property
    def is_equivalent(self) -> bool:
        """True if it is known to differ from the image that is suggested in size and encoding at most."""
        is_known = self.row.equivalence is not None and self.row.equivalence == self.keeper.equivalence
        return self.is_same_file or is_known


@dataclass(frozen=True)
class GroupRow:
    """A group: those of its images that the user may see, and what they may do with it."""

    group: DuplicateGroup
    source: ImageSource
    images: Sequence[GroupImage]
    keeper_id: str
    can_merge: bool
    can_dismiss: bool
    merge: Merge | None
    can_undo: bool

    def pk_of(self, object_id: str) -> Any:
        """Return the primary key of an object of the group."""
        return next(image.item.pk for image in self.images if image.object_id == object_id)


def load_group_rows(access: DuplicateAccess, groups: Iterable[DuplicateGroup]) -> list[GroupRow]:
    """Load what is shown of groups, in as many queries as there are sources and kinds of references."""
    groups = list(groups)
    by_group: dict[int, list[GroupImage]] = {}
    keepers: dict[int, str] = {}
    for source_id in {group.source_id: None for group in groups}:
        ids = [group.pk for group in groups if group.source_id == source_id]
        _load_images(access, source_id, ids, by_group, keepers)
    merges = _undoable_merges(groups)
    return [
        _make_row(access, group, by_group[group.pk], keepers[group.pk], merges.get(group.pk))
        for group in groups
        if by_group.get(group.pk)
    ]


def _make_row(
    access: DuplicateAccess, group: DuplicateGroup, images: Sequence[GroupImage], keeper_id: str, merge: Merge | None
) -> GroupRow:
    source = access.sources[group.source_id]
    can_dismiss = len(images) > 1 and all(access.can_change(image.item) for image in images)
    kept = next((image.item for image in images if merge and image.object_id == merge.kept_id), None)
    return GroupRow(
        group,
        source,
        images,
        keeper_id,
        can_merge=can_dismiss and group.status == DuplicateGroup.Status.OPEN,
        can_dismiss=can_dismiss,
        merge=merge,
        can_undo=merge is not None and access.can_undo(source, merge, kept),
    )


def _load_images(
    access: DuplicateAccess,
    source_id: int,
    group_ids: Sequence[int],
    by_group: dict[int, list[GroupImage]],
    keepers: dict[int, str],
) -> None:
    source = access.sources[source_id]
    rows = list(access.images(source_id).filter(group__in=group_ids).order_by("group", "pk"))
    items = access.load(source, {row.object_id for row in rows})
    uses = count_uses(source.model, list(items.values()), access.countable_rows)
    by_id = {object_id: uses[item.pk] for object_id, item in items.items()}
    thumbnails = source.make_thumbnails(items.values()) if source.thumbnail else None
    for group_id in group_ids:
        members = [row for row in rows if row.group_id == group_id and row.object_id in items]
        if not members:
            continue
        keeper = suggest_keeper(members, by_id)
        keepers[group_id] = keeper.object_id
        kept = next(row for row in members if row.object_id == keeper.object_id)
        kept_file = getattr(items[kept.object_id], source.field_name)
        by_group[group_id] = [
            GroupImage(
                row,
                item := items[row.object_id],
                source.get_title(owner) if (owner := access.owner_of(item)) else _own_title(source, item),
                _change_url(access, item) or _change_url(access, owner),
                _thumbnail_url(thumbnails, getattr(item, source.field_name)),
                by_id[row.object_id],
                kept,
                keeper.reasons if row is kept else (),
                row is not kept and is_same_stored_file(getattr(item, source.field_name), kept_file),
            )
            for row in members
        ]


def _thumbnail_url(thumbnails: Any, file: Any) -> str:
    thumbnail = thumbnails.make(file) if thumbnails else None
    if thumbnail:
        return str(thumbnail.url)
    return str(file.url) if file else ""


def _own_title(source: ImageSource, item: Any) -> str:
    """Return the title of an object whose owner is not shown; a source with owners has a title for these alone."""
    return str(item) if source.ownership else source.get_title(item)


def _change_url(access: DuplicateAccess, item: Any) -> str:
    if item is None:
        return ""
    meta = item._meta
    try:
        name = f"admin:{meta.app_label}_{meta.model_name}_change"
        return reverse(name, args=[quote(item.pk)], current_app=access.site.name)
    except NoReverseMatch:
        return ""


def _undoable_merges(groups: Sequence[DuplicateGroup]) -> dict[int | None, Merge]:
    """Return the last merge of each group that can still be undone, by the group's id."""
    merges = Merge.objects.using(write_alias()).filter(group__in=[group.pk for group in groups]).order_by("pk")
    return {merge.group_id: merge for merge in merges if can_undo(merge)}
