"""Undo a merge, while its rows are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.apps import apps
from django.db import IntegrityError, connections, models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import conf
from ..generations import clear_widgets_on_commit
from ..indexing import notify
from ..models import DuplicateGroup, IndexedImage, Merge, MergedRow, write_alias
from .merge import OWN_TABLES, refusing_conflicts
from .references import MergeRefused
from .rows import Table
from .violations import describe_violation


@dataclass(frozen=True)
class UndoneMerge:
    """The outcome of undoing a merge: rows as they were before, and rows that someone has changed since."""

    restored: int
    skipped: int


def undoable_since() -> datetime:
    """Return the time since which a merge can still be undone."""
    return timezone.now() - timedelta(days=conf.get().merge_undo_days)


def can_undo(merge: Merge) -> bool:
    """Return whether a merge can still be undone."""
    return merge.undone_at is None and merge.merged_at >= undoable_since()


def undo_merge(merge_id: int) -> UndoneMerge:
    """Put all rows that a merge changed or deleted back to what they were.

    A row that someone has changed or deleted since stays as it is.

    Raises:
        MergeRefused: it is too late, it was undone before, or another row has taken the place of a deleted one.
    """
    using = write_alias()
    with refusing_conflicts(using), transaction.atomic(using=using):
        merge = Merge.objects.using(using).select_for_update().filter(pk=merge_id).first()
        if merge is None or not can_undo(merge):
            is_undone = merge is not None and merge.undone_at is not None
            raise MergeRefused(
                _("This merge has been undone already.") if is_undone else _("It is too late to undo this merge.")
            )
        tables: dict[str, Table] = {}
        restored = skipped = 0
        for row in merge.rows.using(using).order_by("-pk").iterator():
            if row.model not in tables:
                try:
                    tables[row.model] = Table(apps.get_model(row.model), using)
                except LookupError:
                    raise MergeRefused(_("“%(model)s” does not exist anymore.") % {"model": row.model}) from None
            if _restore(tables[row.model], row, using):
                restored += 1
            elif row.model not in OWN_TABLES:
                skipped += 1
        Merge.objects.using(using).filter(pk=merge_id).update(undone_at=timezone.now())
        if merge.group_id:
            groups = DuplicateGroup.objects.using(using).filter(pk=merge.group_id)
            groups.update(status=DuplicateGroup.Status.OPEN)
        connections[using].check_constraints()
        clear_widgets_on_commit(using)
        transaction.on_commit(notify.notify_workers, using=using, robust=True)
    return UndoneMerge(restored, skipped)


def forget_old_merges() -> int:
    """Delete the rows of merges that can't be undone anymore; return how many merges are done with."""
    old = Merge.objects.using(write_alias()).filter(merged_at__lt=undoable_since())
    with_rows = list(old.filter(models.Exists(MergedRow.objects.filter(merge=models.OuterRef("pk"))))[:100])
    for merge in with_rows:
        merge.rows.using(write_alias()).all().delete()
    return len(with_rows)


def _restore(table: Table, row: MergedRow, using: str) -> bool:
    """Put one row back; return False where it has been changed since."""
    if row.kind != MergedRow.Kind.DELETED:
        key = tuple(row.key[column] for column in table.key_columns)
        return table.update([key], row.before, row.after) == 1
    if table.model is IndexedImage:  # the trigger has made one, to index the object anew
        records = IndexedImage.objects.using(using)
        records.filter(source_id=row.before["source_id"], object_id=row.before["object_id"]).delete()
    try:
        with transaction.atomic(using=using):
            table.insert(row.before)
    except IntegrityError as error:
        if row.model in OWN_TABLES:  # a mark on an object that is gone, say
            return False
        raise MergeRefused(describe_violation(error, using)) from error
    return True
