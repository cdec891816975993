"""Owners: the objects that images belong to, such as the product of a photo, and that come back in place of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, FieldError, ImproperlyConfigured
from django.db import models
from django.db.models import CharField, ExpressionWrapper, F, Q, Value
from django.db.models.expressions import BaseExpression
from django.db.models.functions import Cast, Concat
from django.utils.functional import cached_property

if TYPE_CHECKING:
    from django.contrib.contenttypes.fields import GenericForeignKey

OWNER_KEY = "similar_images_owner"
"""Name of the annotation with the key of an object's owner."""

OwnerKey = Any
"""Value of that annotation: the owner's primary key; of a generic foreign key, "content type id:primary key"."""


@dataclass(frozen=True)
class Ownership:
    """Whose image each object of a model is.

    Attributes:
        model: the model of the objects that have an image.
        owner: the path of a relation such as "product", the name of a generic foreign key, or an expression whose
            value is a foreign key, such as `Coalesce("product__parent", "product")`.
    """

    model: type[models.Model]
    owner: str | BaseExpression

    @cached_property
    def generic_key(self) -> GenericForeignKey | None:
        """The generic foreign key that leads to the owner; None if it is another relation."""
        field: Any = next((f for f in self.model._meta.private_fields if f.name == self.owner), None)
        return cast("GenericForeignKey", field) if hasattr(field, "ct_field") else None

    @cached_property
    def owner_model(self) -> type[models.Model] | None:
        """The model of all owners; None behind a generic foreign key, where they may be of several.

        Raises:
            ImproperlyConfigured: the path or expression leads to no model.
        """
        if self.generic_key:
            return None
        try:
            query = self.model._base_manager.annotate(**{OWNER_KEY: self._relation}).query
            field: Any = query.annotations[OWNER_KEY].output_field
        except (FieldError, FieldDoesNotExist) as error:
            raise ImproperlyConfigured(f"{self.model._meta.label}: owner={self.owner!r}: {error}") from None
        related_model = field.related_model or (field.model if field.primary_key else None)
        if related_model is None:
            raise ImproperlyConfigured(
                f"{self.model._meta.label}: owner={self.owner!r} is no relation to another model."
            )
        return cast("type[models.Model]", related_model)

    @cached_property
    def owner_models(self) -> list[type[models.Model]]:
        """The models of owners: behind a generic foreign key, those with a `GenericRelation` to it."""
        if self.owner_model:
            return [self.owner_model]
        relations = ((model, field) for model in apps.get_models() for field in model._meta.private_fields)
        return [model for model, field in relations if _leads_back(field, self.model, str(self.owner))]

    @property
    def _relation(self) -> Any:
        return F(self.owner) if isinstance(self.owner, str) else self.owner

    @cached_property
    def key(self) -> BaseExpression:
        """The expression of `OWNER_KEY`."""
        if generic := self.generic_key:
            content_type = Cast(f"{generic.ct_field}_id", CharField())
            return Concat(content_type, Value(":"), Cast(generic.fk_field, CharField()))
        owner_model: Any = self.owner_model
        relation: Any = F(f"{self.owner}__pk") if isinstance(self.owner, str) else self.owner
        return ExpressionWrapper(relation, output_field=primary_key_field(owner_model))

    def owns(self, item: models.Model) -> bool:
        """Tell whether an object can be an owner."""
        return isinstance(item, tuple(self.owner_models))

    def has_owners_of(self, model: type[models.Model]) -> bool:
        """Tell whether objects of a model can be owners."""
        return issubclass(model, tuple(self.owner_models))

    def annotate(self, images: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Add the key of the owner to the objects of a queryset, which can then be filtered by it."""
        queryset: models.QuerySet[Any] = images.annotate(**{OWNER_KEY: self.key})
        return queryset

    def _with_key(self, images: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Make the key of the owner known to filters alone."""
        queryset: models.QuerySet[Any] = images.alias(**{OWNER_KEY: self.key})
        return queryset

    def owner_key(self, item: models.Model) -> OwnerKey:
        """Return the key of an owner."""
        if not self.generic_key:
            return item.pk
        from django.contrib.contenttypes.models import ContentType

        return f"{ContentType.objects.get_for_model(item.__class__).pk}:{item.pk}"

    def images_of(self, item: models.Model, images: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return those of the images that belong to an owner, or to one of the objects that stand in for it.

        With `Coalesce("product__parent", "product")`, those of a variant are the images of the variant itself.
        """
        if self.generic_key or isinstance(self.owner, str):
            return self._with_key(images).filter(**{OWNER_KEY: self.owner_key(item)})
        paths = set(_paths_of(self.owner))
        is_own = Q(*((path, item.pk) for path in sorted(paths) if self._leads_to_owner(path)), _connector=Q.OR)
        return images.filter(is_own) if is_own else images.none()

    def _leads_to_owner(self, path: str) -> bool:
        """Tell whether a path that an expression is made of leads to the model of owners."""
        try:
            return Ownership(self.model, path).owner_model is self.owner_model
        except ImproperlyConfigured:  # another field, such as a condition of the expression
            return False

    def default_owners(self) -> list[models.QuerySet[Any]]:
        """Return the objects of the default manager of every model of owners."""
        return [model._default_manager.all() for model in self.owner_models]

    def with_owners(self, images: models.QuerySet[Any], owners: Sequence[models.QuerySet[Any]]) -> models.QuerySet[Any]:
        """Return those of the images whose owner is in one of the querysets.

        Of an expression, each object that stands in for the owner must be in one, too: a hidden variant shows nothing
        of its own.
        """
        owners = [queryset.using(None) for queryset in owners]
        if not self.generic_key:
            keys = Q(*((f"{OWNER_KEY}__in", queryset.values("pk")) for queryset in owners), _connector=Q.OR)
            if not keys:
                return images.none()
            found = self._with_key(images).filter(keys)
            paths = () if isinstance(self.owner, str) else sorted(set(_paths_of(self.owner)))
            for path in (path for path in paths if self._leads_to_owner(path)):
                is_among = Q(*((f"{path}__in", queryset.values("pk")) for queryset in owners), _connector=Q.OR)
                found = found.filter(Q(**{f"{path}__isnull": True}) | is_among)
            return found
        of_any_type = Q(*(self._is_among(queryset) for queryset in owners), _connector=Q.OR)
        return images.filter(of_any_type) if of_any_type else images.none()

    def _is_among(self, owners: models.QuerySet[Any]) -> Q:
        """Return the condition that a generic foreign key leads to one of these objects."""
        from django.contrib.contenttypes.models import ContentType

        generic: Any = self.generic_key
        key_column: Any = self.model._meta.get_field(generic.fk_field)
        keys: Any = owners.values("pk")
        if not isinstance(key_column, type(primary_key_field(owners.model))):
            keys = owners.annotate(text_key=Cast("pk", key_column)).values("text_key")
        return Q(**{generic.ct_field: ContentType.objects.get_for_model(owners.model), f"{generic.fk_field}__in": keys})

    def load(self, keys: Iterable[OwnerKey], owners: Sequence[models.QuerySet[Any]]) -> dict[OwnerKey, Any]:
        """Fetch owners by key, in one query for each queryset; those in none of these are left out."""
        wanted = set(keys)
        loaded: dict[OwnerKey, Any] = {}
        for queryset in owners:
            pks = self._keys_of_model(queryset.model, wanted - loaded.keys())
            items = queryset.filter(pk__in=list(pks)) if pks else ()
            loaded |= {pks[str(item.pk)] if self.generic_key else item.pk: item for item in items}
        return loaded

    def _keys_of_model(self, model: type[models.Model], keys: set[OwnerKey]) -> dict[Any, OwnerKey]:
        """Return the keys of owners of a model, by primary key."""
        if not self.generic_key:
            return dict(zip(keys, keys, strict=True))
        from django.contrib.contenttypes.models import ContentType

        prefix = f"{ContentType.objects.get_for_model(model).pk}:"
        return {key.removeprefix(prefix): key for key in keys if key.startswith(prefix)}


def primary_key_field(model: type[models.Model]) -> models.Field[Any, Any]:
    """Return the primary key's field of a model; of a key that is a relation, the field at its end."""
    field: Any = model._meta.pk
    while field.remote_field:
        field = field.target_field
    return cast("models.Field[Any, Any]", field)


def _leads_back(field: Any, model: type[models.Model], generic_key: str) -> bool:
    """Tell whether a field is the `GenericRelation` of a generic foreign key."""
    generic: Any = next(key for key in model._meta.private_fields if key.name == generic_key)
    names = getattr(field, "content_type_field_name", None), getattr(field, "object_id_field_name", None)
    return field.related_model is model and names == (generic.ct_field, generic.fk_field)


def _paths_of(expression: Any) -> Iterator[str]:
    """Yield the paths that an expression, not resolved yet, is made of."""
    if isinstance(expression, F):
        yield str(expression.name)  # type: ignore[attr-defined]  # the stubs lack it
    elif expression is not None:
        for part in expression.get_source_expressions():
            yield from _paths_of(part)
