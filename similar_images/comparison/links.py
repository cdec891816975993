"""The address of the page on which two objects are compared, for who may open it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.http import urlencode

from .. import access
from ..sources.source import ImageSource


def comparison_url(request: HttpRequest, source: ImageSource, items: Sequence[Any]) -> str:
    """Return the address; empty unless these are two objects, and the visitor may see both and have them compared."""
    keys = {item.pk for item in items}
    if len(keys) != 2 or not access.is_allowed(request, "compare"):
        return ""
    if source.as_filterable(source.visible_to(request)).filter(pk__in=keys).count() != 2:
        return ""
    try:
        page = reverse("similar_images:compare")
    except NoReverseMatch:  # the project has no pages
        return ""
    return f"{page}?{urlencode(dict(zip('ab', map(source.format_key, items), strict=True)))}"
