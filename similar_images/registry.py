"""The registered image fields (sources), looked up by model, by label, and by the model of their owners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar, Unpack, cast, overload

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import models
from django.db.models import Q
from django.db.models.expressions import BaseExpression
from django.http import HttpRequest

from .sources.source import ImageSource, SourceOptions, make_filterable, resolve_callable

ModelClass = TypeVar("ModelClass", bound=type[models.Model])


class NotRegistered(LookupError):
    """No such source is registered; the message says how to register one."""


class UnknownField(NotRegistered):
    """A model has no registered image field of the name that was given; `fields` are the names of those it has."""

    def __init__(self, message: str, fields: Sequence[str]) -> None:
        super().__init__(message)
        self.fields = fields


class AmbiguousField(ValueError):
    """A model has several registered image fields, and none was named; `fields` are their names."""

    def __init__(self, model: type[models.Model], fields: Sequence[str]) -> None:
        choices = " or ".join(f"field={name!r}" for name in fields)
        super().__init__(f"{model.__name__} has several image fields. Name one: {choices}.")
        self.fields = fields


_sources: dict[tuple[type[models.Model], str], ImageSource] = {}
_listeners: list[Callable[[ImageSource], None]] = []


@overload
def register(
    model: str, field: None = None, **options: Unpack[SourceOptions]
) -> Callable[[ModelClass], ModelClass]: ...
@overload
def register(model: type[models.Model], field: str, **options: Unpack[SourceOptions]) -> None: ...
def register(
    model: type[models.Model] | str, field: str | None = None, **options: Unpack[SourceOptions]
) -> Callable[[ModelClass], ModelClass] | None:
    """Make an image field a source: `register(Product, "photo")`, or `@register("photo")` above the class.

    Registering a field again replaces its options.

    Args:
        model: the model; as a decorator, the name of the field.
        field: the name of the image field.
        **options: whose image it is, who may see it, and how it is shown; see `SourceOptions`.

    Raises:
        ImproperlyConfigured: the model has no such file field, or can't be a source; or an option is wrong.
        TypeError: there is no option of a name.
    """
    if isinstance(model, str):
        field_name = model

        def decorate(decorated: ModelClass) -> ModelClass:
            _add_source(decorated, field_name, options)
            return decorated

        return decorate
    if field is None:
        raise ImproperlyConfigured(f'Name the image field: register({model.__name__}, "photo").')
    _add_source(model, field, options)
    return None


def register_defaults(model: type[models.Model], field: str, **options: Unpack[SourceOptions]) -> None:
    """Register a field, be it registered before or not; options that were given then take precedence, one by one."""
    earlier = _sources.get((model, field))
    given = {name: getattr(earlier, name) for name in SourceOptions.__annotations__} if earlier else {}
    kept = {name: value for name, value in given.items() if value is not None}
    register(model, field, **cast("SourceOptions", {**options, **kept}))


def _add_source(model: type[models.Model], field_name: str, options: SourceOptions) -> None:
    _validate_source(model, field_name, options)
    if isinstance(options.get("filters"), list):
        options["filters"] = tuple(cast("list[str]", options["filters"]))  # a source can be a key
    source = _sources[model, field_name] = ImageSource(model, field_name, **options)
    for listener in _listeners:
        listener(source)


def _validate_source(model: type[models.Model], field_name: str, options: SourceOptions) -> None:
    """Refuse what can't be a source.

    Raises:
        ImproperlyConfigured: the message says why.
        TypeError: there is no option of a name.
    """
    if model._meta.abstract or model._meta.proxy:
        raise ImproperlyConfigured(f"{model.__name__} is abstract or a proxy; register a concrete model.")
    if model._meta.swapped:
        setting, used = model._meta.swappable, model._meta.swapped
        raise ImproperlyConfigured(
            f"{model._meta.label} has no objects, as {setting} is {used!r}: register {used} instead."
        )
    _validate_field(model, field_name)
    if type(model._meta.pk).__name__ == "CompositePrimaryKey":
        raise ImproperlyConfigured(f"{model._meta.label} has a composite primary key, which is not supported.")
    for name, value in options.items():
        if name not in SourceOptions.__annotations__:
            near = get_close_matches(name, SourceOptions.__annotations__, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"register() got an unexpected keyword argument {name!r}.{hint}")
        is_valid = callable(value) or isinstance(value, str) or value is None
        if name == "owner":
            is_valid = value is None or isinstance(value, (str, BaseExpression))
        elif name == "filters":
            is_valid = is_valid or (isinstance(value, Sequence) and all(isinstance(path, str) for path in value))
        if not is_valid:
            kind = {"owner": "a path or an expression", "filters": "a list of lookups or a FilterSet"}
            expected = kind.get(name, "a callable or a dotted path")
            raise ImproperlyConfigured(f"{model._meta.label}.{field_name}: {name} must be {expected}, not {value!r}.")


def _validate_field(model: type[models.Model], field_name: str) -> None:
    """Refuse what is no file field, and say where the image field is that may be meant.

    Raises:
        ImproperlyConfigured: the message says why.
    """
    try:
        field: Any = model._meta.get_field(field_name)
    except FieldDoesNotExist:
        field = None
    if isinstance(field, models.FileField):
        return
    problem = f"{model._meta.label} has no image or file field named {field_name!r}"
    related = getattr(getattr(field, "remote_field", None), "model", None) if isinstance(field, models.Field) else None
    if isinstance(related, str):  # the model is not loaded yet
        problem += f", but a relation to {related}: register the image field of that"
    elif related is not None:
        names = [each.name for each in related._meta.fields if isinstance(each, models.FileField)]
        label = related._meta.label
        problem += f", but a relation to {label}" + (f": register {label}.{names[0]}" if names else "")
    raise ImproperlyConfigured(f"{problem}.")


def register_from_setting(entries: Any) -> None:
    """Register the sources of the key MODELS; an option that an entry leaves out stays as registered before.

    Raises:
        ImproperlyConfigured: an entry names no file field of an installed model, or has a wrong option.
    """
    for model, field, options in resolve_model_entries(entries):
        earlier = _sources.get((model, field))
        if earlier is None or options:
            kept = {name: getattr(earlier, name) for name in SourceOptions.__annotations__} if earlier else {}
            register(model, field, **cast("SourceOptions", {**kept, **options}))


def resolve_model_entries(entries: Any) -> list[tuple[type[models.Model], str, SourceOptions]]:
    """Return the model, field name and options of every entry of the key MODELS.

    The value of an entry is a dict of options, or `visible` alone.

    Raises:
        ImproperlyConfigured: an entry names no file field of an installed model, or has a wrong option.
    """
    resolved = []
    for label in entries:
        value = entries[label] if isinstance(entries, dict) else None
        options: Any = value if isinstance(value, dict) else {"visible": value} if value is not None else {}
        try:
            app_label, model_name, field = label.split(".")
            model = apps.get_model(app_label, model_name)
            if isinstance(options.get("visible"), str):
                options = {**options, "visible": _import_callable(label, options["visible"])}
        except (AttributeError, ValueError, LookupError, ImportError) as error:
            raise ImproperlyConfigured(
                f"SIMILAR_IMAGES['MODELS']: {label!r} is not \"app.Model.field\" of an installed app ({error})."
            ) from error
        try:
            _validate_source(model, field, options)
        except TypeError as error:
            raise ImproperlyConfigured(f"SIMILAR_IMAGES['MODELS'][{label!r}]: {error}") from None
        resolved.append((model, field, options))
    return resolved


def _import_callable(label: str, path: str) -> Any:
    value = resolve_callable(path)
    if not callable(value):
        raise ImproperlyConfigured(f"SIMILAR_IMAGES['MODELS'][{label!r}]: {path} is no callable.")
    return value


def add_listener(listener: Callable[[ImageSource], None]) -> None:
    """Call `listener` with every source, those registered so far and those still to come."""
    _listeners.append(listener)
    for source in get_sources():
        listener(source)


def get_sources() -> list[ImageSource]:
    """Return all sources, in the order of their registration."""
    return list(_sources.values())


def get_source(model: type[models.Model] | str, field: str | None = None) -> ImageSource:
    """Return the source of a model (class or "app.model").

    Raises:
        NotRegistered: there is none.
        UnknownField: the model has none of this name.
        AmbiguousField: there are several, and no field is named.
    """
    model = get_model(model)
    return _select_source(model, field, get_sources_for_model(model))


def get_sources_in(label: str) -> list[ImageSource]:
    """Return the sources of "app.model", or those of whose objects it has the owners.

    Raises:
        NotRegistered: there is none.
    """
    model = get_model(label)
    found = [source for source in get_sources() if issubclass(model, source.model) or source.has_results_of(model)]
    if not found:
        _select_source(model, None, found)
    return found


def find_source(model: type[models.Model] | str, field: str | None = None) -> ImageSource:
    """Return the source of a model, or that of whose objects the model has the owners.

    Raises:
        NotRegistered: there is none.
        AmbiguousField: there are several, and no field is named.
    """
    model = get_model(model)
    own = list(get_sources_for_model(model))
    if own and (field is None or any(source.field_name == field for source in own)):
        return _select_source(model, field, own)
    return _select_source(model, field, [*own, *(source for source in get_sources() if source.has_results_of(model))])


def find_object(request: HttpRequest | None, label: str, pk: str, field: str | None = None) -> tuple[ImageSource, Any]:
    """Return the source of "app.model", and its object with this key: None if there is none that the visitor may see.

    Raises:
        NotRegistered, UnknownField, AmbiguousField: as `find_source`.
    """
    source = find_source(label, field)
    return source, source.get_visible(request, pk, get_model(label))


def leave_out_hidden(objects: models.QuerySet[Any], request: HttpRequest | None) -> models.QuerySet[Any]:
    """Return those of the objects that no source hides from a visitor: all of them where they are of no source.

    They are in the order of the model, or else of their keys: PostgreSQL has another one after each update.
    """
    model = objects.model
    for source in get_sources():
        if not issubclass(model, source.model) and not source.has_results_of(model):
            continue
        visible = [queryset.using(None).values("pk") for queryset in source.visible_objects(request, model)]
        is_visible = Q(*(("pk__in", keys) for keys in visible), _connector=Q.OR) if visible else Q(pk__in=[])
        objects = make_filterable(objects).filter(is_visible)
    return objects if objects.ordered or objects.query.is_sliced else objects.order_by("pk")


def get_model(model: type[models.Model] | str) -> type[models.Model]:
    """Return a model, named by its class or as "app.model".

    Raises:
        NotRegistered: there is none of the name.
    """
    if not isinstance(model, str):
        return model
    try:
        return apps.get_model(model)
    except (LookupError, ValueError):
        raise NotRegistered(f"There is no model {model!r}.") from None


def _select_source(model: type[models.Model], field: str | None, sources: Iterable[ImageSource]) -> ImageSource:
    """Return the source of a field; without one, the only source that there is."""
    by_field: dict[str, ImageSource] = {}
    for source in sources:
        by_field.setdefault(source.field_name, source)
    if field is None and len(by_field) > 1:
        raise AmbiguousField(model, list(by_field))
    selected = next(iter(by_field.values()), None) if field is None else by_field.get(field)
    if selected is None:
        arguments = f'{model.__name__}, "{field or "…"}"'
        message = f"{arguments} is not a source; call similar_images.register({arguments})."
        raise UnknownField(message, list(by_field)) if by_field else NotRegistered(message)
    return selected


def get_sources_by_label(labels: Iterable[str] | None) -> list[ImageSource]:
    """Return the sources of these models ("app.Model"), or all of them if no label is given.

    Raises:
        NotRegistered: a label names none.
    """
    if not labels:
        return get_sources()
    selected = {source.label for label in labels for source in _get_sources_by_label(label)}
    return [source for source in get_sources() if source.label in selected]


def _get_sources_by_label(label: str) -> list[ImageSource]:
    sources = list(get_sources_for_model(get_model(label)))
    if not sources:
        _select_source(get_model(label), None, sources)
    return sources


def get_sources_for_model(model: type[models.Model]) -> Iterator[ImageSource]:
    """Yield the sources of a model and of the models it inherits from."""
    # An object of a child or a proxy is also one of the registered model.
    for ancestor in model.__mro__:
        for source in get_sources():
            if source.model is ancestor:
                yield source
