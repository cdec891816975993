"""The registered image fields (sources), and who may see their objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast, overload

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.db import models
from django.http import HttpRequest
from django.utils.module_loading import import_string

VisibleCallable = Callable[[HttpRequest], "models.QuerySet[Any]"]
ModelClass = TypeVar("ModelClass", bound=type[models.Model])


class NotRegistered(LookupError):
    """No such source is registered; the message says how to register one."""


@dataclass(frozen=True)
class ImageSource:
    """One registered image field."""

    model: type[models.Model]
    field_name: str
    visible: VisibleCallable | None = None

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

    @property
    def _key_field(self) -> models.Field[Any, Any]:
        """The primary key's field; of a key that is a relation, the field at its end."""
        field: Any = self.model._meta.pk
        while field.remote_field:
            field = field.target_field
        return cast("models.Field[Any, Any]", field)

    @property
    def objects(self) -> models.QuerySet[Any]:
        """All objects of the model, whoever may see them."""
        return self.model._base_manager.all()

    def as_filterable(self, objects: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return an equivalent queryset of full objects that can be filtered.

        Sliced, combined, DISTINCT ON and windowed querysets, whose rows a filter would change, are wrapped as
        `pk__in=<subquery>`.
        """
        query = objects.query
        is_selection = query.is_sliced or query.combinator or query.distinct_fields or query.where.contains_over_clause
        if is_selection or not query.default_cols:
            alias = objects._db  # type: ignore[attr-defined]  # the one that was named by using(), if any
            objects = self.objects.using(alias).filter(pk__in=objects.using(None).values("pk"))
        return objects.defer(None)

    def with_file(self) -> models.QuerySet[Any]:
        """Return the objects that have a file in the field."""
        return self.objects.filter(**{f"{self.field_name}__gt": ""})

    def visible_to(self, request: HttpRequest | None) -> models.QuerySet[Any]:
        """Return the objects that may be shown in answer to `request`; without one, to an anonymous visitor."""
        if self.visible is None:
            return self.model._default_manager.all()
        return self.visible(request if request is not None else _anonymous())

    def contains(self, objects: models.QuerySet[Any], item: models.Model) -> bool:
        """Look up in the database whether an object is in a queryset."""
        return self.as_filterable(objects).filter(pk=item.pk).exists()

    def get_or_none(self, objects: models.QuerySet[Any], pk: str) -> Any:
        """Return the object of a queryset with this primary key as text; None if there is none."""
        if "\0" in pk:  # PostgreSQL refuses such texts with an error
            return None
        try:
            return self.as_filterable(objects).filter(pk=pk).first()
        except (ValueError, ValidationError):  # the text can't be a key of this model
            return None

    def get_visible(self, request: HttpRequest | None, pk: str) -> Any:
        """Return the object with this primary key as text; None if there is none that the visitor may see."""
        return self.get_or_none(self.visible_to(request), pk)

    def current_objects(self, objects: models.QuerySet[Any], files: Mapping[str, str]) -> dict[str, Any]:
        """Return those of the objects whose file still has the name that `files` gives by object id, by that id."""
        to_python, name = self._key_field.to_python, self.field_name
        items = {str(to_python(item.pk)): item for item in self.as_filterable(objects).filter(pk__in=list(files))}
        return {object_id: item for object_id, item in items.items() if getattr(item, name).name == files[object_id]}

    def get_file_name(self, instance: models.Model) -> str:
        """Return the name of the file in the object's image field, empty if it has none."""
        return getattr(instance, self.field_name).name or ""


def _anonymous() -> HttpRequest:
    from django.contrib.auth.models import AnonymousUser

    request = HttpRequest()
    request.user = AnonymousUser()
    return request


_sources: dict[tuple[type[models.Model], str], ImageSource] = {}
_listeners: list[Callable[[ImageSource], None]] = []


@overload
def register(
    model: str, field: None = None, *, visible: VisibleCallable | None = None
) -> Callable[[ModelClass], ModelClass]: ...
@overload
def register(model: type[models.Model], field: str, *, visible: VisibleCallable | None = None) -> None: ...
def register(
    model: type[models.Model] | str, field: str | None = None, *, visible: VisibleCallable | None = None
) -> Callable[[ModelClass], ModelClass] | None:
    """Make an image field a source: `register(Product, "photo")`, or `@register("photo")` above the class.

    Registering a field again replaces `visible`.

    Args:
        model: the model; as a decorator, the name of the field.
        field: the name of the image field.
        visible: a callable that takes a request and returns the queryset of objects that may be shown in answer to
            it. Without it, every object of the default manager may.

    Raises:
        ImproperlyConfigured: the model has no such file field, or can't be a source.
    """
    if isinstance(model, str):
        field_name = model

        def decorate(decorated: ModelClass) -> ModelClass:
            _add_source(decorated, field_name, visible)
            return decorated

        return decorate
    if field is None:
        raise ImproperlyConfigured(f'Name the image field: register({model.__name__}, "photo").')
    _add_source(model, field, visible)
    return None


def _add_source(model: type[models.Model], field_name: str, visible: VisibleCallable | None) -> None:
    _validate_source(model, field_name, visible)
    source = _sources[model, field_name] = ImageSource(model, field_name, visible)
    for listener in _listeners:
        listener(source)


def _validate_source(model: type[models.Model], field_name: str, visible: Any) -> None:
    """Refuse what can't be a source.

    Raises:
        ImproperlyConfigured: the message says why.
    """
    if model._meta.abstract or model._meta.proxy:
        raise ImproperlyConfigured(f"{model.__name__} is abstract or a proxy; register a concrete model.")
    try:
        field = model._meta.get_field(field_name)
    except FieldDoesNotExist:
        field = None
    if not isinstance(field, models.FileField):
        raise ImproperlyConfigured(f"{model._meta.label} has no image or file field named {field_name!r}.")
    if type(model._meta.pk).__name__ == "CompositePrimaryKey":
        raise ImproperlyConfigured(f"{model._meta.label} has a composite primary key, which is not supported.")
    if visible is not None and not callable(visible):
        raise ImproperlyConfigured(f"{model._meta.label}.{field_name}: visible must be a callable, not {visible!r}.")


def register_from_setting(entries: Any) -> None:
    """Register the sources of the key MODELS; an entry without `visible` keeps that of an earlier registration.

    Raises:
        ImproperlyConfigured: an entry names no file field of an installed model, or no callable.
    """
    for model, field, visible in resolve_model_entries(entries):
        if visible is not None or (model, field) not in _sources:
            register(model, field, visible=visible)


def resolve_model_entries(entries: Any) -> list[tuple[type[models.Model], str, VisibleCallable | None]]:
    """Return the model, field name and `visible` of every entry of the key MODELS.

    Raises:
        ImproperlyConfigured: an entry names no file field of an installed model, or no callable.
    """
    resolved = []
    for label in entries:
        visible = entries[label] if isinstance(entries, dict) else None
        try:
            app_label, model_name, field = label.split(".")
            model = apps.get_model(app_label, model_name)
            visible = import_string(visible) if isinstance(visible, str) else visible
        except (AttributeError, ValueError, LookupError, ImportError) as error:
            raise ImproperlyConfigured(
                f"SIMILAR_IMAGES['MODELS']: {label!r} is not \"app.Model.field\" of an installed app ({error})."
            ) from error
        _validate_source(model, field, visible)
        resolved.append((model, field, visible))
    return resolved


def add_listener(listener: Callable[[ImageSource], None]) -> None:
    """Call `listener` with every source, those registered so far and those still to come."""
    _listeners.append(listener)
    for source in get_sources():
        listener(source)


def get_sources() -> list[ImageSource]:
    """Return all sources, in the order of their registration."""
    return list(_sources.values())


def get_source(model: type[models.Model] | str, field: str | None = None) -> ImageSource:
    """Return the source of a model (class or "app.model"), the first registered one if no field is named.

    Raises:
        NotRegistered: there is none.
    """
    if isinstance(model, str):
        try:
            model = apps.get_model(model)
        except (LookupError, ValueError):
            raise NotRegistered(f"There is no model {model!r}.") from None
    for source in get_sources_for_model(model):
        if field is None or source.field_name == field:
            return source
    arguments = f'{model.__name__}, "{field or "…"}"'
    raise NotRegistered(f"{arguments} is not a source; call similar_images.register({arguments}).")


def get_sources_by_label(labels: Iterable[str] | None) -> list[ImageSource]:
    """Return the sources of these models ("app.Model"), or all of them if no label is given.

    Raises:
        NotRegistered: a label names none.
    """
    if not labels:
        return get_sources()
    selected_models = {get_source(label).model for label in labels}
    return [source for source in get_sources() if source.model in selected_models]


def get_sources_for_model(model: type[models.Model]) -> Iterator[ImageSource]:
    """Yield the sources of a model and of the models it inherits from."""
    # An object of a child or a proxy is also one of the registered model.
    for ancestor in model.__mro__:
        for source in get_sources():
            if source.model is ancestor:
                yield source
