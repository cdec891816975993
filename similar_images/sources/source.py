"""A source: one registered image field, whose image each is, who may see it, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import models
from django.db.models.expressions import BaseExpression
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.module_loading import import_string

from ..thumbnails import ThumbnailBatch, ThumbnailCallable
from .anonymous import make_anonymous_request
from .owners import OWNER_KEY, OwnerKey, Ownership, primary_key_field

VisibleCallable = Callable[[HttpRequest], "models.QuerySet[Any] | Sequence[models.QuerySet[Any]]"]

MAX_OWNER_IMAGES = 10
"""Images of an owner that are searched by, at most: those with the lowest keys."""


class SourceOptions(TypedDict, total=False):
    """Options of `register()`, beside the model and the field; each callable, also by its dotted path.

    Attributes:
        visible: takes a request and returns the queryset of objects that may be shown in answer to it, or that of their
            owners; or several querysets, where owners are of several models. Without it, every object of the default
            managers may.
        owner: the path of a relation to the object that comes back in place of the registered one, such as "product";
            the name of a generic foreign key, to which the models of owners have a `GenericRelation`; or an expression
            such as `Coalesce("product__parent", "product")`.
        title: takes an object that comes back and returns its title; by default, its text.
        url: takes an object that comes back and returns the address of its page; by default, its `get_absolute_url()`.
        thumbnail: takes the file of an image field and returns a `Thumbnail`, or None where there is none.
        serializer: a serializer class of Django REST framework; what it makes of an object that comes back is `object`
            in a JSON match.
        filters: lookups on what comes back, such as ["category", "price__lte"], or a FilterSet of django-filter.
        policy: a subclass of `similar_images.permissions.EditorPolicy`, which says what editors may see and change; by
            default, they are staff with the model's permissions.
    """

    visible: VisibleCallable | str | None
    owner: str | BaseExpression | None
    title: Callable[[Any], str] | str | None
    url: Callable[[Any], str] | str | None
    thumbnail: ThumbnailCallable | str | None
    serializer: type | str | None
    filters: Sequence[str] | type | str | None
    policy: type | str | None


@dataclass(frozen=True)
class ImageSource:
    """One registered image field, with the options of `register()`."""

    model: type[models.Model]
    field_name: str
    visible: VisibleCallable | str | None = None
    owner: str | BaseExpression | None = None
    title: Callable[[Any], str] | str | None = None
    url: Callable[[Any], str] | str | None = None
    thumbnail: ThumbnailCallable | str | None = None
    serializer: type | str | None = None
    filters: Sequence[str] | type | str | None = None
    policy: type | str | None = None

    @property
    def label(self) -> str:
        """The name of the source: "app.Model.field"."""
        return f"{self.model._meta.label}.{self.field_name}"

    @property
    def field(self) -> models.FileField:
        """The model's image or file field."""
        return cast("models.FileField", self.model._meta.get_field(self.field_name))  # register() refuses others

    @property
    def has_integer_key(self) -> bool:
        """True if the model's primary key is an integer, so that records join to it by `object_key`."""
        return isinstance(self._key_field, models.IntegerField)

    def object_id(self, pk: Any) -> str:
        """Return a primary key as the text in which records hold it, the same that the database casts it to.

        Raises:
            ValidationError: the value can't be a key of this model.
        """
        return str(self._key_field.to_python(pk))

    def format_key(self, instance: models.Model) -> str:
        """Return the object and the field as one text: "app_label.model.field:pk"."""
        return f"{self.model._meta.label_lower}.{self.field_name}:{instance.pk}"

    @cached_property
    def _key_field(self) -> models.Field[Any, Any]:
        return primary_key_field(self.model)

    @cached_property
    def ownership(self) -> Ownership | None:
        """Whose image each object is; None where the objects themselves come back."""
        return Ownership(self.model, self.owner) if self.owner else None

    @property
    def result_model(self) -> type[models.Model]:
        """The model of what comes back; that of the images themselves where owners are of several models."""
        return (self.ownership.owner_model if self.ownership else None) or self.model

    def has_results_of(self, model: type[models.Model]) -> bool:
        """Tell whether objects of a model can come back as owners."""
        return self.ownership is not None and self.ownership.has_owners_of(model)

    def is_owner(self, item: models.Model) -> bool:
        """Tell whether an object is no registered one itself, but can be the owner of some."""
        return not isinstance(item, self.model) and self.ownership is not None and self.ownership.owns(item)

    def get_title(self, item: Any) -> str:
        """Return an object in words."""
        title = resolve_callable(self.title)
        return str(title(item) if title else item)

    def get_url(self, item: Any) -> str:
        """Return the address of an object's own page, empty where it has none."""
        url = resolve_callable(self.url) or getattr(item.__class__, "get_absolute_url", None)
        return (url(item) if url else "") or ""

    def make_thumbnails(self, images: Iterable[Any]) -> ThumbnailBatch:
        """Return the thumbnails of the images of objects, to be made when they are asked for."""
        return ThumbnailBatch(resolve_callable(self.thumbnail), [getattr(image, self.field_name) for image in images])

    @property
    def objects(self) -> models.QuerySet[Any]:
        """All objects of the model, whoever may see them."""
        return self.model._base_manager.all()

    def as_filterable(self, objects: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return an equivalent queryset of full objects of the model that can be filtered."""
        return make_filterable(objects, self.objects)

    def with_file(self) -> models.QuerySet[Any]:
        """Return the objects that have a file in the field."""
        return self.objects.filter(**{f"{self.field_name}__gt": ""})

    def visible_to(self, request: HttpRequest | None) -> models.QuerySet[Any]:
        """Return the objects that may be shown in answer to `request`; without one, to an anonymous visitor."""
        images, owners = self.visible_querysets(request)
        return self.ownership.with_owners(self.as_filterable(images), owners) if self.ownership else images

    def visible_owners(self, request: HttpRequest | None) -> list[models.QuerySet[Any]]:
        """Return the owners that may be shown in answer to `request`, by model; none where objects have no owner."""
        return self.visible_querysets(request)[1] if self.ownership else []

    def visible_querysets(self, request: HttpRequest | None) -> tuple[models.QuerySet[Any], list[models.QuerySet[Any]]]:
        """Return the objects themselves that may be shown, and the owners.

        What `visible` does not return is not shown; but where it says nothing of one of them, the default manager does.

        Raises:
            ImproperlyConfigured: `visible` returned something else than querysets of these models.
        """
        images: models.QuerySet[Any] = self.model._default_manager.all()
        default_owners = self.ownership.default_owners() if self.ownership else []
        visible = resolve_callable(self.visible)
        if visible is None:
            return images, default_owners
        allowed: Any = visible(request if request is not None else make_anonymous_request())
        querysets = [allowed] if isinstance(allowed, models.QuerySet) else allowed
        if not isinstance(querysets, (list, tuple)) or not all(map(self._can_be_visible, querysets)):
            models_ = {self.model, *(self.ownership.owner_models if self.ownership else ())}
            names = " or ".join(sorted(model.__name__ for model in models_))
            raise ImproperlyConfigured(
                f"visible of {self.label} must return a queryset of {names}, or a list of such, not {allowed!r:.200}."
            )
        if not querysets:
            return images.none(), []
        own = [queryset for queryset in querysets if issubclass(queryset.model, self.model)]
        owners = [queryset for queryset in querysets if not issubclass(queryset.model, self.model)]
        return own[0] if own else images, owners or default_owners

    def _can_be_visible(self, value: Any) -> bool:
        """Tell whether a value is a queryset of the model, or of one of its owners."""
        if not isinstance(value, models.QuerySet):
            return False
        return issubclass(value.model, self.model) or self.has_results_of(value.model)

    def images_of(self, item: models.Model, images: models.QuerySet[Any]) -> list[Any]:
        """Return those of the objects of a queryset whose image is that of an object: itself, or those it owns.

        Of an owner, they are `MAX_OWNER_IMAGES` at most.
        """
        if not self.is_owner(item):
            return [item]
        own = self.ownership.images_of(item, self.as_filterable(images))  # type: ignore[union-attr]  # it is an owner
        return list(own.order_by("pk")[:MAX_OWNER_IMAGES])

    def contains(self, objects: models.QuerySet[Any], item: models.Model) -> bool:
        """Look up in the database whether an object is in a queryset."""
        return self.as_filterable(objects).filter(pk=item.pk).exists()

    def get_or_none(self, objects: models.QuerySet[Any], pk: str) -> Any:
        """Return the object of a queryset with this primary key as text; None if there is none."""
        if "\0" in pk:  # PostgreSQL refuses such texts with an error
            return None
        try:
            return next(iter(make_filterable(objects).filter(pk=pk)[:1]), None)
        except (ValueError, ValidationError):  # the text can't be a key of this model
            return None

    def get_visible(self, request: HttpRequest | None, pk: str, model: type[models.Model] | None = None) -> Any:
        """Return the object with this primary key as text; None if there is none that the visitor may see.

        Args:
            request: that of the visitor.
            pk: a primary key.
            model: the model that it is a key of, where it is another one than that of the source.
        """
        found = (self.get_or_none(queryset, pk) for queryset in self.visible_objects(request, model or self.model))
        return next((item for item in found if item is not None), None)

    def visible_objects(self, request: HttpRequest | None, model: type[models.Model]) -> list[models.QuerySet[Any]]:
        """Return the objects of a model that may be shown in answer to `request`: registered ones, or owners.

        Of a model that inherits from theirs, they are those that have a row of it. All can be filtered.
        """
        is_own = self.ownership is None or issubclass(model, self.model)
        querysets = [self.visible_to(request)] if is_own else self.visible_owners(request)
        related = [queryset for queryset in querysets if _are_related(queryset.model, model)]
        return [_narrow(make_filterable(queryset), model) for queryset in related]

    def current_objects(self, objects: models.QuerySet[Any], files: Mapping[str, str]) -> dict[str, Any]:
        """Return those of the objects whose file still has the name that `files` gives by object id, by that id.

        Each has the key of its owner as the attribute `OWNER_KEY`, where it has one.
        """
        to_python, name = self._key_field.to_python, self.field_name
        found = self.as_filterable(objects).filter(pk__in=list(files))
        if self.ownership:
            found = self.ownership.annotate(found)
        items = {str(to_python(item.pk)): item for item in found}
        return {object_id: item for object_id, item in items.items() if getattr(item, name).name == files[object_id]}

    def owner_of(self, item: models.Model) -> Any:
        """Return the object that the image of a registered object belongs to, which may be that object itself."""
        if self.ownership is None:
            return item
        key = self.ownership.annotate(self.objects).values_list(OWNER_KEY, flat=True).get(pk=item.pk)
        owners = self.ownership.load([key], self.ownership.default_owners())
        return owners.get(key, item)

    def load_results(self, images: Iterable[Any], owners: Sequence[models.QuerySet[Any]]) -> Mapping[Any, Any]:
        """Return what comes back for objects of `current_objects`, by their primary key: their owners, or themselves.

        Those whose owner is in none of the querysets are left out.
        """
        if self.ownership is None:
            return {image.pk: image for image in images}
        keys: dict[Any, OwnerKey] = {image.pk: getattr(image, OWNER_KEY) for image in images}
        loaded = self.ownership.load(keys.values(), owners)
        return {pk: loaded[key] for pk, key in keys.items() if key in loaded}

    def get_file_name(self, instance: models.Model) -> str:
        """Return the name of the file in the object's image field, empty if it has none."""
        return getattr(instance, self.field_name).name or ""

    def get_files(self, names: Mapping[str, str], using: str | None = None) -> dict[str, FieldFile]:
        """Return files of the field, each in the storage where its object has it.

        It takes one query where the storage depends on the object, as for private files of django-filer, and none
        otherwise.

        Args:
            names: the names of the files, by object id.
            using: the database to look the objects up in; by default, the one that reads are sent to.

        Returns:
            The files by object id, without those of objects that are gone.
        """
        file_class, field = self.field.attr_class, self.field
        if self._has_one_storage:
            return {object_id: file_class(cast("Any", None), field, name) for object_id, name in names.items()}
        objects = self.objects.using(using).filter(pk__in=list(names))
        by_id = {self.object_id(item.pk): item for item in objects}
        return {object_id: file_class(item, field, names[object_id]) for object_id, item in by_id.items()}

    @property
    def _has_one_storage(self) -> bool:
        """True unless the class of the field's files decides on their storage."""
        file_class = self.field.attr_class
        return vars(FieldFile)["__init__"] is file_class.__init__ and not hasattr(file_class, "storage")


def resolve_callable(value: Any) -> Any:
    """Return what a dotted path names; anything else as it is.

    Raises:
        ImportError: it names nothing.
    """
    return import_string(value) if isinstance(value, str) else value


def make_filterable(objects: models.QuerySet[Any], every: models.QuerySet[Any] | None = None) -> models.QuerySet[Any]:
    """Return an equivalent queryset of full objects that can be filtered.

    Sliced, combined, DISTINCT ON and windowed querysets, whose rows a filter would change, are wrapped as
    `pk__in=<subquery>` of `every`, which are all objects of the model by default.
    """
    query = objects.query
    is_selection = query.is_sliced or query.combinator or query.distinct_fields or query.where.contains_over_clause
    if is_selection or not query.default_cols:
        every = objects.model._base_manager.all() if every is None else every
        alias = objects._db  # type: ignore[attr-defined]  # the one that was named by using(), if any
        objects = every.using(alias).filter(pk__in=objects.using(None).values("pk"))
    return objects.defer(None)


def _are_related(a: type[models.Model], b: type[models.Model]) -> bool:
    return issubclass(a, b) or issubclass(b, a)


def _narrow(objects: models.QuerySet[Any], model: type[models.Model]) -> models.QuerySet[Any]:
    """Return those of the objects that are also of a model which inherits from theirs."""
    if issubclass(objects.model, model) or model._meta.concrete_model is objects.model._meta.concrete_model:
        return objects
    return objects.filter(pk__in=model._base_manager.using(None).values("pk"))
