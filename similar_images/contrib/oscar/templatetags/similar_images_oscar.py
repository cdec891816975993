"""The template tag `{% similar_products product limit=6 as products %}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django import template
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from oscar.core.loading import get_model

from ....widgets.widget import find_matches
from ..access import get_family_head

register = template.Library()


@register.simple_tag(takes_context=True)
def similar_products(context: template.Context, product: Any, **options: Any) -> Sequence[Any]:
    """Return the products whose images look like those of a product and its variants, most similar first.

    They are no variants, and neither the product nor its parent is among them. They are found when the first of them is
    asked for, with what `{% render_product %}` needs.

    Args:
        context: the template context; its `request` says who the visitor is.
        product: the product; anything else, such as an undefined variable, has no similar ones.
        **options: keyword arguments of `similar_to`, and values for the source's filters by their names. Without
            `min_similarity`, that of SIMILAR_IMAGES["MIN_SIMILARITY"] for widgets holds; without `queryset`, all
            public products are searched. It has to have the variants whose images may be found.
    """
    if not isinstance(product, get_model("catalogue", "Product")):
        return []
    found: Any = SimpleLazyObject(partial(_find_products, context.get("request"), product, options))
    return found  # type: ignore[no-any-return]  # Oscar is not typed


def _find_products(request: HttpRequest | None, product: Any, options: Mapping[str, Any]) -> list[Any]:
    public = get_model("catalogue", "Product").objects.public().base_queryset()  # variants, too: by their images
    return [match.object for match in find_matches(request, get_family_head(product), {"queryset": public, **options})]
