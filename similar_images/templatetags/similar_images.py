"""Template tags: `{% similar_items product limit=6 as matches %}` and `{% similar_items_widget product %}`."""

from __future__ import annotations

from typing import Any

from django import template
from django.db import models

from ..search.matches import Match, similar_to

register = template.Library()


@register.simple_tag(takes_context=True)
def similar_items(context: template.Context, item: models.Model | None, **options: Any) -> list[Match]:
    """Return the matches of an object, most similar first.

    Items that the visitor may not see are left out. An object that is not saved or not indexed yet has no matches.

    Args:
        context: the template context; its `request` says who the visitor is.
        item: the object; anything else, such as an undefined variable, has no matches.
        **options: keyword arguments of `similar_to`.
    """
    if not isinstance(item, models.Model):
        return []
    return similar_to(item, request=context.get("request"), **options)


@register.inclusion_tag("similar_images/widget.html", takes_context=True)
def similar_items_widget(
    context: template.Context, item: models.Model | None, title: str = "", **options: Any
) -> dict[str, Any]:
    """Show the matches of an object as a titled list of images; nothing at all where there are none."""
    return {"matches": similar_items(context, item, **options), "title": title, "object": item}
