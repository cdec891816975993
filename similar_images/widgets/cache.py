"""Rendered widgets in Django's cache, each for the visitors who see the same items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from django.db import models
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import get_language

from .. import __version__, conf
from ..generations import get_generation, get_widget_cache

PLAIN_TYPES = (str, int, float, bool, type(None))
"""Types of options by whose values widgets can be told apart."""


def cached_widget(
    request: HttpRequest | None,
    item: models.Model,
    arguments: Mapping[str, Any],
    seconds: int,
    render: Callable[[], str],
) -> str:
    """Return a widget from the cache, or render it and keep it for so many seconds.

    Args:
        request: that of the visitor.
        item: the object.
        arguments: all that the template says of the widget.
        seconds: how long at most; it is out of date at once where what it shows has changed.
        render: renders it.

    Raises:
        ValueError: the setting names no cache, or an argument is no text or number.
    """
    cache = get_widget_cache()
    if cache is None:
        raise ValueError('cache= needs the key WIDGET_CACHE of SIMILAR_IMAGES, such as "default".')
    for name, value in arguments.items():
        if not isinstance(value, PLAIN_TYPES):
            raise ValueError(f"cache= takes options that are texts or numbers, not {name}={value!r:.80}.")
    group = get_visitor_group(request)
    if group is None:
        return render()
    host = request.get_host() if request else ""
    stylesheet = static("similar_images/similar_images.css")  # its address changes when the site is deployed anew
    site = (
        __version__,
        conf.get().fingerprint,
        stylesheet,
        host,
        get_language(),
        get_current_timezone_name(),
    )
    subject = (item._meta.label_lower, str(item.pk), sorted(arguments.items()), group)
    content = repr((get_generation(cache), site, subject))
    key = f"similar_images:widget:{sha256(content.encode()).hexdigest()}"
    html = cache.get(key)
    if html is None:
        html = str(render())
        cache.set(key, html, seconds)
    return SafeString(html)


def get_visitor_group(request: HttpRequest | None) -> str | None:
    """Return a text that is the same for visitors who see the same items; None for one who shares with nobody."""
    group = conf.get().widget_cache_group
    if group is not None:
        in_group: Callable[[HttpRequest | None], str | None] = import_string(group) if isinstance(group, str) else group
        return in_group(request)
    user = getattr(request, "user", None)
    return None if user is not None and user.is_authenticated else ""
