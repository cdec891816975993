"""The groups of duplicates, the objects and the references that a user may see or change in the admin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import apps
from django.contrib.admin import ModelAdmin
from django.db import models
from django.db.models import CharField, Count, Q
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.translation import gettext as _

from ..merging.merge import MergePlan
from ..merging.references import MergeRefused
from ..models import DuplicateGroup, DuplicateImage, Merge, MergedRow, Source, write_alias
from ..sources.source import ImageSource, make_filterable
from .object_access import ObjectAccess, decides_by_object
from .viewable_objects import decides_by_object_or_owner, viewable_images

GroupQuerySet = models.QuerySet[DuplicateGroup]


class DuplicateAccess:
    """Permissions of one user to see and merge, by the admins of the models on the same site."""

    def __init__(self, site: Any, request: HttpRequest) -> None:
        """Look up the sources whose objects the user may see."""
        self.site = site
        self.request = request
        self.objects = ObjectAccess(site, request)
        self._owners: dict[models.Model, models.Model] = {}
        rows = ((row.pk, row.image_source) for row in Source.objects.using(write_alias()).all())
        self.sources = {pk: source for pk, source in rows if source is not None and self._has_page(source)}

    def _has_page(self, source: ImageSource) -> bool:
        """Return whether an admin on the site has the objects of a source, or their owners, and the user sees some."""
        models_ = [source.model, *(source.ownership.owner_models if source.ownership else [])]
        has_admin = any(self.objects.has_own_admin(model) for model in models_)
        return has_admin and not self.objects.images(source).query.is_empty()

    def objects_of(self, source: ImageSource) -> models.QuerySet[Any]:
        """Return the objects of a source that lists may show, in the database that is written to."""
        return source.as_filterable(self.objects.images(source)).using(write_alias())

    def groups(self, status: str) -> GroupQuerySet:
        """Return the groups of which the user may see at least two images, whose objects are still there.

        Of merged ones, the image that was kept is enough.
        """
        minimum = 1 if status == DuplicateGroup.Status.MERGED else 2
        condition = Q(pk__in=[])
        for source_id in self.sources:
            seen = self.images(source_id).order_by().values("group").annotate(count=Count("pk"))
            condition |= Q(source=source_id, pk__in=seen.filter(count__gte=minimum).values("group"))
        return DuplicateGroup.objects.using(write_alias()).filter(condition, status=status)

    def images(self, source_id: int) -> models.QuerySet[DuplicateImage]:
        """Return the images of groups of a source that the user may see."""
        source = self.sources[source_id]
        images = DuplicateImage.objects.using(write_alias()).filter(source=source_id)
        objects = self.objects_of(source)
        if decides_by_object_or_owner(self.objects, source):
            keys = images.values_list("object_id", flat=True).distinct()
            found = self._viewable(source, objects.filter(pk__in=list(keys)))
            return images.filter(object_id__in=[source.object_id(item.pk) for item in found])
        if source.has_integer_key:
            return images.filter(object_key__in=objects.values("pk"))
        texts = objects.annotate(text_key=Cast("pk", CharField())).values("text_key")
        return images.filter(object_id__in=texts)

    def load(self, source: ImageSource, object_ids: Iterable[str]) -> dict[str, Any]:
        """Return those of the objects that the user may see, by id."""
        found = self.objects_of(source).filter(pk__in=list(object_ids))
        return {source.object_id(item.pk): item for item in self._viewable(source, found)}

    def _viewable(self, source: ImageSource, items: Iterable[models.Model]) -> list[models.Model]:
        """Return those of the objects that the user may see, and remember their owners, which decide on some."""
        pairs = viewable_images(self.objects, source, items)
        self._owners |= {item: owner for item, owner in pairs if owner is not item}
        return [item for item, _owner in pairs]

    def can_view(self, item: models.Model) -> bool:
        """Return whether the user may see an object in an admin of its model."""
        return self.objects.has_own_admin(type(item)) and self.objects.can_view(item)

    def can_change(self, item: models.Model, action: str = "change") -> bool:
        """Return whether the user may change, or delete, an object of `load`; without an admin, also its owner."""
        model_admin = self._admin_of(type(item))
        if model_admin is not None:
            return bool(getattr(model_admin, f"has_{action}_permission")(self.request, item))
        owner = self._owners.get(item)
        return owner is not None and self._has_permission(type(item), action) and self.objects.can_change([owner])

    def countable_rows(self, model: type[models.Model]) -> models.QuerySet[Any] | None:
        """Return the rows of a model that count as uses for this user; None where they may not see them."""
        owner = _owner_of(model)
        rows = model._base_manager.using(write_alias())
        model_admin = self._admin_of(owner)
        if model_admin is None:
            return rows if self._has_permission(owner, "view") or self._has_permission(owner, "change") else None
        if not model_admin.has_view_or_change_permission(self.request):
            return None
        if decides_by_object(model_admin, "view", "change") and not self._is_superuser:
            return None  # to ask for each row would take a query each
        if owner is not model:
            return rows
        listed: models.QuerySet[Any] = model_admin.get_queryset(self.request)
        return rows.filter(pk__in=listed.using(None).values("pk")) if listed.query.has_filters() else rows

    def owner_of(self, item: models.Model) -> models.Model | None:
        """Return the owner of an object of `load`, where there is one that the user may see."""
        owner = self._owners.get(item)
        return owner if owner is not None and self.can_view(owner) else None

    def can_undo(self, source: ImageSource, merge: Merge, kept: models.Model | None) -> bool:
        """Return whether the user may undo a merge: who made it, or who may change the kept object and add others.

        Args:
            source: the source of the objects.
            merge: the merge.
            kept: the object that was kept; None where the user may not see it.
        """
        if kept is not None and not self.can_change(kept):
            return False
        if merge.merged_by_id is not None and merge.merged_by_id == self.request.user.pk:
            return True
        return kept is not None and (not merge.is_removal or self._can_add(source.model))

    def _can_add(self, model: type[models.Model]) -> bool:
        model_admin = self._admin_of(model)
        return model_admin.has_add_permission(self.request) if model_admin else self._has_permission(model, "add")

    def check_plan(self, plan: MergePlan) -> None:
        """Refuse a merge of which the user may not make every single change.

        Raises:
            MergeRefused: there is one; nothing is said about it.
        """
        if not self.can_merge(plan.kept, plan.others, is_removal=plan.is_removal) or self.forbidden(plan.host_changes):
            raise MergeRefused(_("You may not change everything that refers to these items. Ask someone who may."))

    def can_merge(self, kept: models.Model, others: Iterable[models.Model], *, is_removal: bool) -> bool:
        """Return whether the user may change an object, and delete, or change, others."""
        action = "delete" if is_removal else "change"
        return self.can_change(kept) and all(self.can_change(item, action) for item in others)

    def forbidden(self, rows: Iterable[MergedRow]) -> list[MergedRow]:
        """Return the changes, not made yet, that the user may not make; in as many queries as there are kinds."""
        kinds: dict[tuple[str, str], list[MergedRow]] = {}
        for row in rows:
            kinds.setdefault((row.model, row.kind), []).append(row)
        return [row for (label, kind), of_kind in kinds.items() for row in self._forbidden(label, kind, of_kind)]

    def _forbidden(self, label: str, kind: str, rows: list[MergedRow]) -> list[MergedRow]:
        model = apps.get_model(label)
        owner = _owner_of(model)
        action = "delete" if kind == MergedRow.Kind.DELETED and owner is model else "change"
        model_admin = self._admin_of(owner)
        if model_admin is None:
            return [] if self._has_permission(owner, action) else rows
        has_permission = getattr(model_admin, f"has_{action}_permission")
        if self._is_superuser or not (decides_by_object(model_admin, action) or _is_restricted(model_admin)):
            return [] if has_permission(self.request) else rows
        keys = _owner_keys(model, owner, rows)
        listed = make_filterable(model_admin.get_queryset(self.request)).using(write_alias())
        found = listed.filter(pk__in={key for key in keys if key is not None})
        allowed = {str(item.pk) for item in found if has_permission(self.request, item)}
        return [row for row, key in zip(rows, keys, strict=True) if str(key) not in allowed]

    def _admin_of(self, model: type[models.Model]) -> ModelAdmin[Any] | None:
        return self.site.get_model_admin(model) if self.site.is_registered(model) else None

    @property
    def _is_superuser(self) -> bool:
        return bool(self.request.user.is_superuser)

    def _has_permission(self, model: type[models.Model], action: str) -> bool:
        name = f"{model._meta.app_label}.{action}_{model._meta.model_name}"
        return bool(self.request.user.has_perm(name))


def _owner_of(model: type[models.Model]) -> type[models.Model]:
    """Return the model whose field a row of a many-to-many table belongs to; others are their own."""
    owner: Any = model._meta.auto_created
    return owner or model


def _owner_keys(model: type[models.Model], owner: type[models.Model], rows: Sequence[MergedRow]) -> list[Any]:
    """Return for each changed row the primary key of the object that it is, or belongs to; None where that is gone."""
    pks = [_former_pk(model, row) for row in rows]
    if owner is model:
        return pks
    link = next(field for field in model._meta.fields if field.remote_field and field.related_model is owner)
    stored = model._base_manager.using(write_alias()).filter(pk__in=pks).values_list("pk", link.attname)
    links = {str(pk): value for pk, value in stored}
    return [links.get(str(pk)) for pk in pks]


def _former_pk(model: type[models.Model], row: MergedRow) -> Any:
    """Return the primary key that a row has before its change; of a composite one, a tuple."""
    key = row.former_key
    columns = [str(field.column) for field in getattr(model._meta, "pk_fields", [model._meta.pk])]
    return key[columns[0]] if len(columns) == 1 else tuple(key[column] for column in columns)


def _is_restricted(model_admin: Any) -> bool:
    return type(model_admin).get_queryset is not ModelAdmin.get_queryset
