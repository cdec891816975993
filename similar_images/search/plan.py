"""Plan a search: check what callers ask for, and make a search of it that is ready to run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

from django.db import models
from django.utils.translation import gettext as _

from .. import conf, permissions, plugins, registry
from ..imaging.files import read_bounded
from ..sources.source import ImageSource
from . import diversity
from .filters import filter_results
from .options import MAX_TEXT_LENGTH, Example, OptionError, SearchOptions, parse_box
from .ranking import resolve_text_method, resolve_weights
from .rerank.copies import COPY_THRESHOLD, copy_weights
from .search import Search, Subject


def plan_search(query: Example | Iterable[Example] | None, options: SearchOptions) -> Search:
    """Check what callers of `similar_to` ask for and make a search of it.

    Raises:
        NotRegistered, AmbiguousField, UnreadableImage: as `similar_to`.
        TypeError: `queryset` is none.
        ValueError: the arguments make no sense, or not together; the message says why.
    """
    given, unlike, excluded = list_examples(query), list(options.unlike), list(options.exclude)
    if bool(given) == (options.text is not None):
        raise ValueError("Say what to search by: similar_to(object), similar_to(file, model=…) or text=…, model=….")
    source = _find_source(given, options)
    queryset = _resolve_queryset(source, options.queryset)
    items = [example for example in (*given, *unlike) if isinstance(example, models.Model)]
    _check_model(source, [*items, *excluded], queryset)
    options.check(len(given))
    if options.fallback is not None and options.fallback != "newest" and not callable(options.fallback):
        raise OptionError("fallback", _("fallback must be “newest” or a callable."))
    if options.distinct:
        diversity.check_group_path(source, options.distinct)
    is_copy_search = options.mode == "copy"
    visible, owners = _visible_results(source, options)
    examples: list[list[Subject]] = [_read_images(source, example, visible) for example in given]
    if options.text is not None:
        examples = [[clean_text(options.text)]]
    options.check(sum(len(images) or 1 for images in examples) if given else 0)
    chosen = _chosen_results(source, options, queryset)
    left_out = [*excluded, *items]
    min_similarity = options.min_similarity
    return Search(
        source=source,
        examples=examples,
        weights=_search_weights(options),
        allowed=[visible, *(_images_of_results(source, queryset) for queryset in chosen)],
        excluded=[item.pk for item in left_out if not source.is_owner(item)],
        limit=conf.get().limit if options.limit is None else options.limit,
        min_similarity=min_similarity if min_similarity is not None else COPY_THRESHOLD if is_copy_search else 0,
        unlike=[_read_images(source, example, visible) for example in unlike],
        options=options if options.box is None else replace(options, box=parse_box(options.box)),
        owners=[queryset for queryset in chosen[-1:] if source.has_results_of(queryset.model)] or owners,
        excluded_owners=[source.ownership.owner_key(item) for item in left_out if source.is_owner(item)]
        if source.ownership
        else [],
    )


def _visible_results(
    source: ImageSource, options: SearchOptions
) -> tuple[models.QuerySet[Any], list[models.QuerySet[Any]]]:
    """Return the objects that may come back to the visitor, or to the editor, and the owners."""
    if options.for_editors:
        owners = source.ownership.default_owners() if source.ownership else []
        return permissions.get_policy(source).viewable(options.request), owners
    return source.visible_to(options.request), source.visible_owners(options.request)


def _chosen_results(
    source: ImageSource, options: SearchOptions, queryset: models.QuerySet[Any] | None
) -> list[models.QuerySet[Any]]:
    """Return the querysets of filters and of the caller, in all of which must be what comes back."""
    filtered = filter_results(source, options.filters, options.request) if options.filters else None
    return [chosen for chosen in (filtered, queryset) if chosen is not None]


def _images_of_results(source: ImageSource, results: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Return the objects of a source that are in a queryset, or whose owners are."""
    if source.ownership is None or issubclass(results.model, source.model):
        return results
    return source.ownership.with_owners(source.objects, [results])


def list_examples(query: Example | Iterable[Example] | None) -> list[Example]:
    """Return the objects and images of a query, which may be a single one."""
    if query is None:
        return []
    if isinstance(query, Iterable) and not isinstance(query, (models.Model, bytes, str)) and not hasattr(query, "read"):
        return list(query)
    return [cast("Example", query)]


def clean_text(text: str) -> str:
    """Return the text without space around it.

    Raises:
        OptionError: it is empty, or longer than `MAX_TEXT_LENGTH`.
    """
    text = text.strip()
    if not text:
        raise OptionError("text", _("Enter what to look for."))
    if len(text) > MAX_TEXT_LENGTH:
        raise OptionError("text", _("Enter at most %(limit)d characters.") % {"limit": MAX_TEXT_LENGTH})
    return text


def _find_source(examples: Sequence[Example], options: SearchOptions) -> ImageSource:
    if examples and isinstance(examples[0], models.Model):
        return registry.find_source(examples[0].__class__, options.field)  # not type(): request.user is a lazy object
    if options.model is None:
        raise ValueError("To search by an image or text, say where: similar_to(file, model=Product).")
    return registry.find_source(options.model, options.field)


def _resolve_queryset(source: ImageSource, chosen: Any) -> models.QuerySet[Any] | None:
    """Return the objects that a caller has chosen as a queryset, as which the results of a search engine may not come.

    Raises:
        TypeError: they are no objects.
    """
    if chosen is None or isinstance(chosen, models.QuerySet):
        return chosen
    items = list(chosen) if isinstance(chosen, Iterable) and not isinstance(chosen, str) else [chosen]
    model = source.model if all(isinstance(item, source.model) for item in items) else items[0].__class__
    if not issubclass(model, models.Model) or not all(isinstance(item, model) for item in items):
        raise TypeError(
            f"queryset must be a queryset such as {source.model.__name__}.objects.all(), or objects, not {chosen!r}."
        )
    return model._base_manager.filter(pk__in=[item.pk for item in items])


def _check_model(source: ImageSource, items: Iterable[models.Model], queryset: models.QuerySet[Any] | None) -> None:
    for item in items:
        if not isinstance(item, source.model) and not source.is_owner(item):
            raise ValueError(f"{item!r} is not a {source.model.__name__}, the model that is searched.")
    is_searched = queryset is None or issubclass(queryset.model, source.model) or source.has_results_of(queryset.model)
    if queryset is not None and not is_searched:
        raise ValueError(f"The queryset is of {queryset.model.__name__}, not of {source.result_model.__name__}.")


def _search_weights(options: SearchOptions) -> dict[str, float]:
    if options.text is not None:
        return {resolve_text_method(options.method, options.ranking): 1.0}
    if options.mode == "copy" and options.method is None and options.ranking is None:
        return copy_weights(plugins.enabled_methods())
    return resolve_weights(options.method, options.ranking)


def _read_images(source: ImageSource, example: Example, visible: models.QuerySet[Any]) -> list[Subject]:
    """Return the images of an example: those of an owner that may be seen, an object itself, or the bytes of a file."""
    if isinstance(example, models.Model):
        return [*source.images_of(example, visible)]
    if not hasattr(example, "read"):
        raise ValueError(f"Search by an object or an open binary file, not by {example!r:.80}.")
    return [read_bounded(example, max_bytes=conf.get().search_max_bytes)]
