"""Which image fields are sources, and who may see their objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast, overload

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.db import models
from django.http import HttpRequest
from django.utils.module_loading import import_string

Visible = Callable[[HttpRequest], "models.QuerySet[Any]"]
ModelClass = TypeVar("ModelClass", bound=type[models.Model])


class NotRegistered(LookupError):
    """No source of that name; the message says how to register one."""


@dataclass(frozen=True)
class ImageSource:
    """One registered image field."""

    model: type[models.Model]
    field_name: str
    visible: Visible | None = None

    @property
    def label(self) -> str:
        return f"{self.model._meta.label}.{self.field_name}"

    @property
    def field(self) -> models.FileField:
        return cast("models.FileField", self.model._meta.get_field(self.field_name))  # register() refuses others

    @property
    def has_integer_key(self) -> bool:
        """Whether the model's primary key is an integer, so that records join to it by `object_key`."""
        return isinstance(self._key, models.IntegerField)

    def object_id(self, pk: Any) -> str:
        """A primary key as records hold it: the text that the database makes of it.

        Raises:
            ValidationError: it is no key of this model.
        """
        return str(self._key.to_python(pk))

    def key_of(self, instance: models.Model) -> str:
        """The object and the field as one text, app_label.model.field:pk."""
        return f"{self.model._meta.label_lower}.{self.field_name}:{instance.pk}"

    @property
    def _key(self) -> models.Field[Any, Any]:
        key: Any = self.model._meta.pk
        while key.remote_field:
            key = key.target_field
        found: models.Field[Any, Any] = key
        return found

    @property
    def objects(self) -> models.QuerySet[Any]:
        """Every object of the model, whoever may see it."""
        return self.model._base_manager.all()

    def plain(self, objects: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """The same as whole objects that can be filtered: where a filter would change what is in it, it becomes one."""
        query = objects.query
        is_chosen = query.is_sliced or query.combinator or query.distinct_fields or query.where.contains_over_clause
        if is_chosen or not query.default_cols:
            objects = self.objects.filter(pk__in=objects.values("pk"))
        return objects.defer(None)

    def with_file(self) -> models.QuerySet[Any]:
        """The objects that have a file in the field."""
        return self.objects.filter(**{f"{self.field_name}__gt": ""})

    def visible_to(self, request: HttpRequest | None) -> models.QuerySet[Any]:
        """The objects that may come back in answer to `request`; without one, to an anonymous visitor."""
        if self.visible is None:
            return self.model._default_manager.all()
        return self.visible(request if request is not None else _anonymous())

    def includes(self, objects: models.QuerySet[Any], item: models.Model) -> bool:
        """Whether an object is in a queryset, as the database has it."""
        return self.plain(objects).filter(pk=item.pk).exists()

    def find(self, objects: models.QuerySet[Any], pk: str) -> Any:
        """The object with this primary key in a queryset, None where there is none."""
        if "\0" in pk:  # Postgres has no such texts
            return None
        try:
            return self.plain(objects).filter(pk=pk).first()
        except (ValueError, ValidationError):  # no key of this model looks like that
            return None

    def find_visible(self, request: HttpRequest | None, pk: str) -> Any:
        """The object with this primary key, None where there is none that the visitor may see."""
        return self.find(self.visible_to(request), pk)

    def file_name(self, instance: models.Model) -> str:
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
    model: str, field: None = None, *, visible: Visible | None = None
) -> Callable[[ModelClass], ModelClass]: ...
@overload
def register(model: type[models.Model], field: str, *, visible: Visible | None = None) -> None: ...
def register(
    model: type[models.Model] | str, field: str | None = None, *, visible: Visible | None = None
) -> Callable[[ModelClass], ModelClass] | None:
    """Make an image field a source: `register(Product, "photo")`, or `@register("photo")` above the class.

    `visible` takes a request and returns the queryset of objects that may come back in answer to it;
    without it, every object of the default manager may. Registering a field again replaces `visible`.

    Raises:
        ImproperlyConfigured: the model has no such file field, or can't be a source.
    """
    if isinstance(model, str):
        name = model

        def decorate(decorated: ModelClass) -> ModelClass:
            _add(decorated, name, visible)
            return decorated

        return decorate
    if field is None:
        raise ImproperlyConfigured(f'Name the image field: register({model.__name__}, "photo").')
    _add(model, field, visible)
    return None


def _add(model: type[models.Model], name: str, visible: Visible | None) -> None:
    _refuse(model, name, visible)
    source = _sources[model, name] = ImageSource(model, name, visible)
    for listen in _listeners:
        listen(source)


def _refuse(model: type[models.Model], name: str, visible: Any) -> None:
    """Raises:
    ImproperlyConfigured: this can't be a source; the message says why.
    """
    if model._meta.abstract or model._meta.proxy:
        raise ImproperlyConfigured(f"{model.__name__} is abstract or a proxy; register a concrete model.")
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        field = None
    if not isinstance(field, models.FileField):
        raise ImproperlyConfigured(f"{model._meta.label} has no image or file field named {name!r}.")
    if type(model._meta.pk).__name__ == "CompositePrimaryKey":
        raise ImproperlyConfigured(f"{model._meta.label} has a composite primary key, which is not supported.")
    if visible is not None and not callable(visible):
        raise ImproperlyConfigured(f"{model._meta.label}.{name}: visible must be a callable, not {visible!r}.")


def register_from_setting(entries: Any) -> None:
    """Register what the key MODELS of the setting names; an entry without `visible` leaves that of the code alone.

    Raises:
        ImproperlyConfigured: an entry names no file field of an installed model, or no callable.
    """
    for model, field, visible in resolve_entries(entries):
        if visible is not None or (model, field) not in _sources:
            register(model, field, visible=visible)


def resolve_entries(entries: Any) -> list[tuple[type[models.Model], str, Visible | None]]:
    """The model, field and `visible` of every entry of the key MODELS.

    Raises:
        ImproperlyConfigured: an entry names no file field of an installed model, or no callable.
    """
    found = []
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
        _refuse(model, field, visible)
        found.append((model, field, visible))
    return found


def add_listener(listener: Callable[[ImageSource], None]) -> None:
    """Call `listener` with every source, those of now and those to come."""
    _listeners.append(listener)
    for source in sources():
        listener(source)


def sources() -> list[ImageSource]:
    return list(_sources.values())


def get_source(model: type[models.Model] | str, field: str | None = None) -> ImageSource:
    """The source of a model (class or "app.model"), the first registered where no field is named.

    Raises:
        NotRegistered: there is none.
    """
    if isinstance(model, str):
        try:
            model = apps.get_model(model)
        except (LookupError, ValueError):
            raise NotRegistered(f"There is no model {model!r}.") from None
    for source in sources_for_model(model):
        if field is None or source.field_name == field:
            return source
    what = f'{model.__name__}, "{field or "…"}"'
    raise NotRegistered(f"{what} is not a source; call similar_images.register({what}).")


def sources_by_label(labels: Iterable[str] | None) -> list[ImageSource]:
    """The sources of these models ("app.Model"); all of them, where no label is given.

    Raises:
        NotRegistered: a label names none.
    """
    if not labels:
        return sources()
    models_of = {get_source(label).model for label in labels}
    return [source for source in sources() if source.model in models_of]


def sources_for_model(model: type[models.Model]) -> Iterator[ImageSource]:
    """The sources of a model and of the models it inherits from."""
    # An object of a child or a proxy is one of the registered model, too.
    for ancestor in model.__mro__:
        for source in sources():
            if source.model is ancestor:
                yield source


@contextmanager
def only_source(model: type[models.Model], field: str) -> Iterator[ImageSource]:
    """Have this image field alone for a source, as long as the block lasts."""
    before = dict(_sources)
    _sources.clear()
    try:
        register(model, field)
        yield get_source(model, field)
    finally:
        _sources.clear()
        _sources.update(before)


def url_of(item: Any) -> str:
    """The page of an object, empty where it has none."""
    get_absolute_url = getattr(item, "get_absolute_url", None)
    return get_absolute_url() if get_absolute_url else ""
