"""Template tags: `{% similar_items product limit=6 as matches %}` and `{% similar_items_widget product %}`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django import template
from django.db import models
from django.utils.safestring import SafeString

from ..search.matches import Match
from ..widget_cache import cached_widget
from ..widgets import Widget, find_matches

register = template.Library()


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
    return find_matches(context.get("request"), item, options)


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
        return widget.render(item, find_matches(request, item, options))

    if not cache or item.pk is None:
        return render()
    return cached_widget(request, item, {**asdict(widget), **options}, cache, render)
