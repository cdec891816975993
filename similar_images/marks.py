"""Marks: what people said of two pictures, alike or not, which holds whatever their signatures say."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, models, router, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from . import registry
from .models import Mark, Source
from .registry import ImageSource


def mark(a: models.Model, b: models.Model, *, alike: bool, field: str | None = None, user: Any = None) -> Mark:
    """Say that the pictures of two objects are alike, or that they are not, in place of what was said before.

    Two that are marked not alike never come back as each other's matches. Marks go when one of the objects goes.

    Args:
        field: the image field, where the model has several.
        user: who says so; nobody where it is an anonymous visitor.

    Raises:
        NotRegistered: the model or field is not a source.
        ValueError: these are not two objects of one source that have a picture each.
    """
    source = _source(a, b, field)
    new = Mark(**_names(source, a, b), is_alike=alike, marked_by_id=getattr(user, "pk", None), marked_at=timezone.now())
    try:
        with transaction.atomic(using=router.db_for_write(Mark)):
            Mark.objects.bulk_create(
                [new],
                update_conflicts=True,
                unique_fields=["source", "first_id", "second_id"],
                update_fields=["is_alike", "marked_by", "marked_at"],
            )
    except IntegrityError:
        raise ValueError(_("Only two objects that have a picture each can be marked.")) from None
    return new


def unmark(a: models.Model, b: models.Model, *, field: str | None = None) -> bool:
    """Take back what was said of two objects; return whether there was anything.

    Raises:
        NotRegistered: as `mark`.
        ValueError: these are not two objects of one source.
    """
    count, _by_model = Mark.objects.filter(**_names(_source(a, b, field), a, b)).delete()
    return count > 0


def get_mark(source: ImageSource, a: models.Model, b: models.Model) -> Mark | None:
    """The mark of two objects of a source, None where there is none."""
    return Mark.objects.filter(**_names(source, a, b)).select_related("marked_by").first()


def marked_pairs(source: ImageSource) -> list[tuple[str, str, bool]]:
    """All marks of a source: two object ids, and whether they are alike."""
    marks = Mark.objects.filter(source_id=Source.objects.get_id(source))
    return list(marks.order_by("pk").values_list("first_id", "second_id", "is_alike"))


def _source(a: models.Model, b: models.Model, field: str | None = None) -> ImageSource:
    """The source of two objects.

    Raises:
        NotRegistered, ValueError: as `mark`.
    """
    source = registry.get_source(a.__class__, field)
    if not isinstance(b, source.model):
        raise ValueError(_("Only objects of one model can be marked: %(a)s and %(b)s are not.") % {"a": a, "b": b})
    if a.pk is None or b.pk is None or a.pk == b.pk:
        raise ValueError(_("Only two objects that are saved can be marked, not one and itself."))
    return source


def _names(source: ImageSource, a: models.Model, b: models.Model) -> dict[str, Any]:
    first, second = sorted(source.object_id(item.pk) for item in (a, b))
    return {"source_id": Source.objects.get_id(source), "first_id": first, "second_id": second}
