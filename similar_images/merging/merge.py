"""Merge objects into one in a transaction, or list what that would do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, OperationalError, connections, models, transaction
from django.utils.translation import gettext as _

from ..generations import clear_widgets_on_commit
from ..models import DuplicateGroup, Merge, MergedRow, Source, write_alias
from ..sources.source import ImageSource
from .references import MergeRefused, ObjectRows, load_object_rows
from .steps import LeftRow, MergeSteps
from .violations import describe_violation

MERGE_LOCK_TIMEOUT = "5s"
"""Time to wait for rows that someone else is changing."""

OWN_TABLES = ("similar_images.IndexedImage", "similar_images.Mark", "similar_images.Signature")
"""Models whose rows follow an object by themselves, and are in no list of changes."""


class PlanChanged(MergeRefused):
    """A merge would do something else than what was listed."""


@dataclass(frozen=True)
class MergePlan:
    """All that a merge changes.

    Attributes:
        kept: the object that is kept.
        others: those that are merged into it.
        is_removal: whether the others are removed.
        changes: the rows that are changed, in order.
        left: rows that go on referring to one of the others, or are deleted with it.
    """

    kept: models.Model
    others: Sequence[models.Model]
    is_removal: bool
    changes: Sequence[MergedRow]
    left: Sequence[LeftRow]

    @property
    def host_changes(self) -> list[MergedRow]:
        """The changes of rows of the project, without those that the app keeps on images."""
        return [change for change in self.changes if change.model not in OWN_TABLES]

    @property
    def fingerprint(self) -> str:
        """A text that is another one where the merge would do something else."""
        described = [[row.kind, row.model, row.field, row.key, row.after] for row in self.host_changes]
        left = [[row.model._meta.label, row.field, row.key] for row in self.left]
        objects = [str(self.kept.pk), sorted(str(item.pk) for item in self.others), self.is_removal]
        return hashlib.sha256(json.dumps([objects, described, left], sort_keys=True).encode()).hexdigest()


def plan_merge(source: ImageSource, kept: Any, others: Sequence[Any], *, is_removal: bool) -> MergePlan:
    """List what a merge does: it is made, and rolled back.

    Raises:
        MergeRefused: it can't be made.
    """
    using = write_alias()
    with refusing_conflicts(using), transaction.atomic(using=using):
        plan = _merge(source, kept, others, is_removal, using)
        transaction.set_rollback(True, using=using)
    return plan


def merge_objects(
    source: ImageSource,
    kept: Any,
    others: Sequence[Any],
    *,
    is_removal: bool = True,
    user: Any = None,
    group: DuplicateGroup | None = None,
    fingerprint: str | None = None,
) -> Merge:
    """Let all that refers to objects refer to another one of the same source; the objects are then removed, or stay.

    No file is deleted, and no signal is sent, as for `QuerySet.update()`.

    Args:
        source: the source of the objects.
        kept: the primary key of the object that is kept.
        others: the primary keys of the others.
        is_removal: whether the others are removed.
        user: the user who merges them.
        group: the group that is done with.
        fingerprint: that of the plan that the user has confirmed.

    Raises:
        MergeRefused: it can't be made, and nothing was changed.
        PlanChanged: it would do something else than what was confirmed.
    """
    using = write_alias()
    with refusing_conflicts(using), transaction.atomic(using=using):
        plan = _merge(source, kept, others, is_removal, using)
        if fingerprint is not None and plan.fingerprint != fingerprint:
            raise PlanChanged(_("Something has changed since this list was made. Please check it again."))
        merge = Merge.objects.using(using).create(
            source_id=Source.objects.get_id(source),
            kept_id=source.object_id(plan.kept.pk),
            merged_ids=[source.object_id(item.pk) for item in plan.others],
            is_removal=is_removal,
            merged_by_id=getattr(user, "pk", None),
            group=group,
        )
        for row in plan.changes:
            row.merge = merge
        MergedRow.objects.using(using).bulk_create(plan.changes, batch_size=500)
        if group:
            DuplicateGroup.objects.using(using).filter(pk=group.pk).update(status=DuplicateGroup.Status.MERGED)
        clear_widgets_on_commit(using)
    return merge


def _merge(source: ImageSource, kept: Any, others: Sequence[Any], is_removal: bool, using: str) -> MergePlan:
    wanted = [kept, *dict.fromkeys(pk for pk in others if pk != kept)]
    # In the order of their keys, so that two merges wait for each other instead of forever.
    locked = source.objects.using(using).filter(pk__in=wanted).order_by("pk").select_for_update(of=("self",))
    found = {str(item.pk): item for item in locked}
    if len(wanted) < 2 or any(str(pk) not in found for pk in wanted):
        raise MergeRefused(_("An item of this group was deleted or merged in the meantime."))
    kept_object, *other_objects = (found[str(pk)] for pk in wanted)
    rows = load_object_rows(source.model, kept_object, other_objects, using)
    steps = MergeSteps(using)
    steps.move_references(rows)
    steps.change_fields(source.model, _rows_of(source.model, rows))
    if is_removal:
        steps.remove(other_objects, kept_object)
    connections[using].check_constraints()
    return MergePlan(kept_object, other_objects, is_removal, steps.changes, steps.left)


def _rows_of(model: type[models.Model], rows: Sequence[ObjectRows]) -> ObjectRows:
    return next(entry for entry in rows if entry.table.model is model._meta.concrete_model)


@contextmanager
def refusing_conflicts(using: str) -> Iterator[None]:
    """Wait for others only for a while; say what is wrong where the database refuses."""
    try:
        with transaction.atomic(using=using):
            with connections[using].cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [MERGE_LOCK_TIMEOUT])
            yield
    except OperationalError as error:  # a lock that was not granted, a deadlock, or no serialization
        raise MergeRefused(_("Someone else is changing one of these items. Try again in a moment.")) from error
    except IntegrityError as error:
        raise MergeRefused(describe_violation(error, using)) from error
