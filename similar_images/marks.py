"""Marks: editors' verdicts on two images, similar or not, which override their signatures."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from . import registry
from .generations import clear_widgets_on_commit
from .models import Mark, Merge, Source, write_alias
from .sources.source import ImageSource

USER_CONSTRAINT = "similar_images_mark_user"
"""The foreign key to users (see the migration)."""


def mark(a: models.Model, b: models.Model, *, alike: bool, field: str | None = None, user: Any = None) -> Mark:
    """Mark the images of two objects as similar or not, in place of an earlier mark.

    Objects marked as not similar are never returned as matches of each other. A mark is deleted with either object.

    Args:
        a: an object with an image.
        b: another object of the same model with an image.
        alike: True if the images are similar, False if they are not.
        field: the image field, if the model has several.
        user: the user who marks them; None, or one who is not saved, is stored as nobody.

    Raises:
        NotRegistered: the model or field is not a source.
        ValueError: these are not two objects of one source with an image each, or the user was deleted.
    """
    return mark_pairs(_get_common_source(a, b, field), [(a, b)], is_alike=alike, user=user)[0]


def mark_pairs(
    source: ImageSource, pairs: Iterable[tuple[models.Model, models.Model]], *, is_alike: bool, user: Any
) -> list[Mark]:
    """Mark the images of pairs of objects of a source, as `mark` does those of one.

    Raises:
        ValueError: as `mark`.
    """
    user_id, now = getattr(user, "pk", None), timezone.now()
    new_marks = [
        Mark(**_mark_key(source, a, b), is_alike=is_alike, marked_by_id=user_id, marked_at=now) for a, b in pairs
    ]
    try:
        with transaction.atomic(using=write_alias()):
            clear_widgets_on_commit(write_alias())
            Mark.primary.bulk_create(
                new_marks,
                update_conflicts=True,
                unique_fields=["source", "first_id", "second_id"],
                update_fields=["is_alike", "marked_by", "marked_at"],
            )
    except IntegrityError as error:
        if USER_CONSTRAINT in str(error):
            raise ValueError(_("This user does not exist anymore.")) from None
        raise ValueError(_("Only objects that have an image can be marked.")) from None
    return new_marks


def unmark(a: models.Model, b: models.Model, *, field: str | None = None) -> bool:
    """Remove the mark of two objects; return False if there was none.

    Raises:
        NotRegistered: the model or field is not a source.
        ValueError: these are not two objects of one source.
    """
    count, _by_model = Mark.primary.filter(**_mark_key(_get_common_source(a, b, field), a, b)).delete()
    clear_widgets_on_commit(write_alias())
    return count > 0


def unmark_between(source: ImageSource, some: Iterable[models.Model], others: Iterable[models.Model]) -> int:
    """Remove all marks of one of some objects of a source and one of others; return their number."""
    ids, other_ids = ([source.object_id(item.pk) for item in items] for items in (some, others))
    is_between = Q(first_id__in=ids, second_id__in=other_ids) | Q(first_id__in=other_ids, second_id__in=ids)
    count, _by_model = Mark.primary.filter(is_between, source_id=Source.objects.get_id(source)).delete()
    clear_widgets_on_commit(write_alias())
    return count


def forget_user(*, instance: models.Model, using: str, **kwargs: Any) -> None:
    """Forget who marked and merged when a user is deleted in another database; in that of these, PostgreSQL does it."""
    if using != write_alias():
        marks = Mark.primary.filter(marked_by_id=instance.pk)
        transaction.on_commit(partial(marks.update, marked_by=None), using=using, robust=True)
        merges = Merge.objects.using(write_alias()).filter(merged_by_id=instance.pk)
        transaction.on_commit(partial(merges.update, merged_by=None), using=using, robust=True)


def get_mark(source: ImageSource, a: models.Model, b: models.Model) -> Mark | None:
    """Return the mark of two objects of a source, None if there is none."""
    return Mark.primary.filter(**_mark_key(source, a, b)).first()


def marked_pairs(source: ImageSource, *, of: str | None = None) -> list[tuple[str, str, bool]]:
    """Return all marks of a source, oldest first: two object ids, and True if they are similar.

    Args:
        source: the source.
        of: the id of an object, of which alone the marks are returned.
    """
    marks = Mark.primary.filter(source_id=Source.objects.get_id(source))
    if of is not None:
        marks = marks.filter(Q(first_id=of) | Q(second_id=of))
    return list(marks.order_by("pk").values_list("first_id", "second_id", "is_alike"))


def find_marked_as_different(
    source: ImageSource, item: models.Model, objects: models.QuerySet[Any], limit: int
) -> list[Any]:
    """Return those of the objects that were marked as not similar to an object, the last ones first."""
    own = source.object_id(item.pk)
    pairs = [(a, b) for a, b, is_alike in marked_pairs(source, of=own) if not is_alike]
    others = [b if a == own else a for a, b in reversed(pairs)]
    found = {source.object_id(each.pk): each for each in objects.filter(pk__in=others[:limit])}
    return [found[other] for other in others if other in found]


def _get_common_source(a: models.Model, b: models.Model, field: str | None = None) -> ImageSource:
    """Return the source of two objects that can be marked.

    Raises:
        NotRegistered: the model or field is not a source.
        ValueError: these are not two saved objects of one source.
    """
    source = registry.get_source(a.__class__, field)
    if not isinstance(b, source.model):
        raise ValueError(_("Only objects of the same model can be marked; %(a)s and %(b)s are not.") % {"a": a, "b": b})
    if a.pk is None or b.pk is None or a.pk == b.pk:
        raise ValueError(_("Only two different, saved objects can be marked."))
    return source


def _mark_key(source: ImageSource, a: models.Model, b: models.Model) -> dict[str, Any]:
    first, second = sorted(source.object_id(item.pk) for item in (a, b))
    return {"source_id": Source.objects.get_id(source), "first_id": first, "second_id": second}
