"""Template tags: `{% similar_items product limit=6 as matches %}` and `{% similar_items_widget product %}`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django import template
from django.db import models
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.safestring import SafeString

from ..search.matches import Match
from ..widgets.cache import cached_widget
from ..widgets.widget import Widget, find_matches, find_matches_of_each

register = template.Library()

PREFETCHED = "similar_images_prefetched"
"""Key of the render context for what `{% prefetch_similar_items %}` found."""


@register.simple_tag(takes_context=True)
def similar_items(context: template.Context, item: models.Model | None, **options: Any) -> list[Match]:
    """Return the matches of an object, most similar first.

    Items that the visitor may not see are left out. An object that is not saved or not indexed yet has no matches.

    Args:
        context: the template context; its `request` says who the visitor is.
        item: the object; anything else, such as an undefined variable, has no matches.
        **options: keyword arguments of `similar_to`, and values for the source's filters by their names. Without
            `min_similarity`, that of SIMILAR_IMAGES["MIN_SIMILARITY"] for widgets holds.
    """
    if not isinstance(item, models.Model):
        return []
    lists: Any = context.render_context.get(PREFETCHED)
    for prefetched in lists or ():
        if prefetched.options == options and (item.__class__, item.pk) in prefetched.matches:
            return list(prefetched.matches[item.__class__, item.pk])
    return find_matches(context.get("request"), item, options)


@register.simple_tag(takes_context=True)
def prefetch_similar_items(context: template.Context, items: Iterable[models.Model], **options: Any) -> str:
    """Find the matches of all objects of a list together, for the widgets below that have the same options.

    A page then takes as many queries as one widget does, and none where all widgets are cached.

    Args:
        context: the template context; its `request` says who the visitor is.
        items: objects of one model.
        **options: keyword arguments of `similar_to`, but for `mode`, `rerank`, `box`, `unlike`, `diversity`,
            `distinct`, and `fallback`.
    """
    prefetched = Prefetched(context.get("request"), items, options)
    lists: Any = context.render_context.setdefault(PREFETCHED, [])
    lists.append(prefetched)
    return ""


@dataclass
class Prefetched:
    """The matches of several objects, found when the first of them is asked for."""

    request: HttpRequest | None
    items: Iterable[models.Model]
    options: dict[str, Any]

    @cached_property
    def matches(self) -> dict[Any, Sequence[Match]]:
        """The matches of each object by its model and primary key."""
        return find_matches_of_each(self.request, list(self.items), self.options)


@register.simple_tag(takes_context=True)
def similar_items_widget(
    context: template.Context,
    item: models.Model | None,
    title: str = "",
    *,
    layout: str = "grid",
    item_template: str = "",
    lazy: bool = False,
    cache: int = 0,
    **options: Any,
) -> SafeString | str:
    """Show the matches of an object as a list of images with titles; nothing at all where there are none.

    Args:
        context: the template context; its `request` says who the visitor is.
        item: the object; anything else, such as an undefined variable, has no matches.
        title: heading of the list.
        layout: "grid", "row", which scrolls sideways, or "list".
        item_template: template of one match in place of similar_images/item.html.
        lazy: load the matches when the visitor scrolls near; options must then be texts or numbers.
        cache: keep the widget for so many seconds in the cache WIDGET_CACHE; options must then be texts or numbers.
        **options: keyword arguments of `similar_to`.

    Raises:
        ValueError: there is no such layout, or no cache.
    """
    if not isinstance(item, models.Model):
        return ""
    widget = Widget(str(title or ""), layout, item_template)
    if lazy and item.pk is not None and (placeholder := widget.render_lazy(item, options)) is not None:
        return placeholder
    request = context.get("request")

    def render() -> SafeString:
        return widget.render(item, similar_items(context, item, **options))

    if not cache or item.pk is None:
        return render()
    return cached_widget(request, item, {**asdict(widget), **options}, cache, render)
