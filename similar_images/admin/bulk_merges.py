"""Groups that are merged together: what refers to their images is listed for all of them at once."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import models
from django.utils.translation import gettext as _

from ..merging.hooks import find_field_changes
from ..merging.left_owners import owners_left_without_image
from ..merging.merge import MergePlan
from ..merging.references import MergeRefused
from ..merging.uses import list_uses
from ..models import DuplicateGroup, MergedRow, write_alias
from .duplicate_access import DuplicateAccess
from .duplicate_groups import GroupImage, GroupRow, load_group_rows
from .merge_changes import ChangeLine, describe_rows, is_merged_object, row_key

BULK_LIMIT = 25
"""Groups that are listed and merged together, at most."""

BULK_KINDS = (DuplicateGroup.Kind.EXACT, DuplicateGroup.Kind.COPIES)
"""Kinds of groups that can be merged together."""


@dataclass
class BulkEntry:
    """A group, and what a merge of those of its images that are the same changes.

    Attributes:
        row: the group.
        others: the images that are merged into the one that is suggested.
        uses: the rows that refer to them.
        changes: the same, for editors.
        error: why they can't be merged; empty if they can.
    """

    row: GroupRow
    others: Sequence[GroupImage]
    uses: Sequence[MergedRow] = ()
    changes: Sequence[ChangeLine] = field(default_factory=list)
    error: str = ""

    @property
    def other_ids(self) -> list[str]:
        """The ids of the objects that are merged into the one that is kept."""
        return [image.object_id for image in self.others]

    @property
    def keys(self) -> set[tuple[str, str, str]]:
        """The rows that refer to the others, as model, field and key."""
        return {(row.model, row.field, row_key(row)) for row in self.uses}

    @property
    def fingerprint(self) -> str:
        """A text that is another one where something else is merged, or other rows refer to it."""
        described = [self.row.keeper_id, sorted(self.other_ids), sorted(self.keys)]
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def read_similarity(value: Any) -> float:
    """Return a similarity in percent.

    Raises:
        ValueError: it is no number from 0 to 100.
    """
    similarity = float(value)
    if not 0 <= similarity <= 100:  # nor NaN
        raise ValueError(value)
    return similarity


def list_bulk_entries(
    access: DuplicateAccess, groups: models.QuerySet[DuplicateGroup], *, is_removal: bool
) -> list[BulkEntry]:
    """Return the first groups, most similar ones first, in a number of queries that does not grow with theirs.

    Merged are only images that differ in size and encoding at most; groups without such are left out.
    """
    rows = load_group_rows(access, groups.order_by("-similarity", "pk")[:BULK_LIMIT])
    entries = []
    for row in rows:
        others = [image for image in row.images if image.is_equivalent and not image.is_suggested]
        if others and row.can_merge:
            entries.append(BulkEntry(row, others))
    for of_source in _by_source(entries):
        source = of_source[0].row.source
        items = [image.item for entry in of_source for image in entry.others]
        uses = list_uses(source.model, items)
        left = owners_left_without_image(source, items) if is_removal else {}
        for entry in of_source:
            entry.uses = [row for image in entry.others for row in uses[image.item.pk]]
            if any(image.item.pk in left for image in entry.others):
                entry.error = _("An item would be left without any image. Review this group by itself.")
    forbidden = set(map(id, access.forbidden([row for entry in entries for row in entry.uses])))
    for entry in entries:
        kept = next(image.item for image in entry.row.images if image.is_suggested)
        may_merge = access.can_merge(kept, [image.item for image in entry.others], is_removal=is_removal)
        if not may_merge or forbidden & set(map(id, entry.uses)):
            entry.error = _("You may not change everything that refers to these items. Ask someone who may.")
    allowed = [entry for entry in entries if not entry.error]
    for entry, lines in zip(allowed, describe_rows(access, [entry.uses for entry in allowed]), strict=True):
        entry.changes = lines
    return entries


def describe_texts(access: DuplicateAccess, entries: Sequence[BulkEntry]) -> list[ChangeLine]:
    """Return what the project's hooks find in texts, of all groups; each hook is called once for each source."""
    rows = []
    for of_source in _by_source([entry for entry in entries if not entry.error]):
        replacements = {
            str(image.item.pk): str(entry.row.pk_of(entry.row.keeper_id))
            for entry in of_source
            for image in entry.others
        }
        for change in find_field_changes(of_source[0].row.source.model, replacements, write_alias()):
            key = {str(change.model._meta.pk.column): str(change.pk)}
            label = change.model._meta.label
            moved = MergedRow.Kind.MOVED
            rows.append(MergedRow(kind=moved, model=label, field=change.field, key=key, before={}, after={}))
    forbidden = set(map(id, access.forbidden(rows)))
    return describe_rows(access, [[row for row in rows if id(row) not in forbidden]])[0]


def check_simple(plan: MergePlan, entry: BulkEntry) -> None:
    """Refuse a merge that changes more than was listed, or deletes more than the objects and links to them.

    Raises:
        MergeRefused: it has to be reviewed by itself.
    """
    links = {(label, key) for label, _field, key in entry.keys if apps.get_model(label)._meta.auto_created}
    for row in plan.host_changes:
        is_listed = row.kind == MergedRow.Kind.MOVED and (row.model, row.field, row_key(row)) in entry.keys
        is_link = (row.model, row_key(row)) in links
        if not (is_listed or is_link or is_merged_object(plan, row) or _is_text(row)):
            name = apps.get_model(row.model)._meta.verbose_name
            raise MergeRefused(
                _("More would change than is listed here: “%(model)s”. Review this group by itself.") % {"model": name}
            )


def _is_text(row: MergedRow) -> bool:
    """Return whether a change is one of a hook, in a field that is no relation."""
    field: Any = apps.get_model(row.model)._meta.get_field(row.field) if row.field else None
    return row.kind == MergedRow.Kind.MOVED and isinstance(field, models.Field) and not field.is_relation


def _by_source(entries: Iterable[BulkEntry]) -> list[list[BulkEntry]]:
    by_source: dict[int, list[BulkEntry]] = defaultdict(list)
    for entry in entries:
        by_source[entry.row.group.source_id].append(entry)
    return list(by_source.values())
