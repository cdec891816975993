"""Decide for pages and REST alike who may ask for costly work, and how often.

Stored matches are for everyone and never throttled. Costly is what an image has to be read, described or compared for
while the visitor waits; each kind has a key of SIMILAR_IMAGES that says who may ask for it. Python callers are never
refused.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from . import conf, permissions
from .imaging.files import sha256_of

Action = Literal["search_by_picture", "compare", "copy", "rerank", "why_not"]
"""A kind of costly work; the key of the setting has the same name in upper case."""

ACTIONS: tuple[Action, ...] = ("search_by_picture", "compare", "copy", "rerank", "why_not")

IPV6_PREFIX = 64
"""Leading bits of an IPv6 address that count as one visitor, who has all addresses that begin with them."""

logger = logging.getLogger(__name__)


class Refused(Exception):
    """A visitor may not have what a request asks for, or not now; the message is for the visitor."""

    status_code = 403
    retry_after: int | None = None
    """Seconds after which another try makes sense."""


class AccessDenied(Refused):
    """The setting gives this action to others."""


class RateExceeded(Refused):
    """The visitor has asked for too much costly work lately."""

    status_code = 429

    def __init__(self, retry_after: int) -> None:
        minutes = math.ceil(retry_after / 60)
        message = ngettext(
            "Too many requests. Please try again in %(minutes)d minute.",
            "Too many requests. Please try again in %(minutes)d minutes.",
            minutes,
        )
        super().__init__(message % {"minutes": minutes})
        self.retry_after = retry_after


def list_off() -> set[Action]:
    """Return the actions that nobody may ask for; a wrong setting, which the checks report, turns nothing off."""
    try:
        setting = conf.get()
    except ImproperlyConfigured:
        return set()
    return {action for action in ACTIONS if getattr(setting, action) == "nobody"}


def is_off(action: Action) -> bool:
    """Check that nobody may ask for an action."""
    return action in list_off()


def is_allowed(request: HttpRequest | None, action: Action) -> bool:
    """Check that a visitor may ask for an action."""
    rule = getattr(conf.get(), action)
    if rule == "everyone":
        return True
    if rule == "nobody":
        return False
    if rule == "authenticated":
        return permissions.is_authenticated(request)
    if rule == "staff":
        return permissions.is_staff(request)
    return bool(load_callable(action.upper(), rule)(request))


def admit(request: HttpRequest, actions: Iterable[Action]) -> None:
    """Count a request for costly work, before the work is done; one for none of these actions passes uncounted.

    Raises:
        AccessDenied: the visitor may not ask for one of the actions.
        RateExceeded: the visitor has done so too often.
    """
    actions = list(actions)
    for action in actions:
        check_allowed(request, action)
    if actions:
        check_rate(request)


def check_allowed(request: HttpRequest, action: Action) -> None:
    """Check that a visitor may ask for an action.

    Raises:
        AccessDenied: the visitor may not.
    """
    if is_allowed(request, action):
        return
    if permissions.is_authenticated(request) or is_off(action):
        raise AccessDenied(_("You are not allowed to use this."))
    raise AccessDenied(_("Please log in to use this."))


def check_rate(request: HttpRequest) -> None:
    """Count a request for costly work in the current window of time.

    A cache that is down must not break the request: then it is not counted.

    Raises:
        RateExceeded: there were too many before it.
    """
    rates = conf.get().costly_rates
    group = "authenticated" if permissions.is_authenticated(request) else "anonymous"
    rate = {**conf.DEFAULT_RATES, **rates}[group] if rates is not None else None
    if rate is None:
        return
    allowed, seconds = conf.parse_rate(rate)
    now = time.time()
    window = int(now // seconds)
    key = f"similar_images:rate:{sha256_of(f'{seconds}:{window}:{identify_visitor(request)}'.encode())}"
    try:
        cache = caches["default"]
        cache.add(key, 0, seconds)
        count = cache.incr(key)
    except Exception as error:  # cache clients raise errors of their own; a dummy cache counts nothing
        logger.debug("A request could not be counted: %r", error)
        return
    if count <= allowed:
        return
    if conf.get().visitor is None and "HTTP_X_FORWARDED_FOR" in request.META:
        logger.warning("All visitors behind a proxy are throttled as one: set SIMILAR_IMAGES['VISITOR'].")
    raise RateExceeded(max(1, math.ceil((window + 1) * seconds - now)))


def identify_visitor(request: HttpRequest) -> str:
    """Return a text that tells a visitor from others.

    It is what SIMILAR_IMAGES["VISITOR"] returns, or else the user's key, or the address of an anonymous visitor.
    """
    if rule := conf.get().visitor:
        return f"custom:{load_callable('VISITOR', rule)(request)}"
    if permissions.is_authenticated(request):
        return f"user:{request.user.pk}"
    return f"address:{_network_of(request.META.get('REMOTE_ADDR', ''))}"


def last_forwarded_address(request: HttpRequest) -> str:
    """Return who a visitor is behind one proxy: the user, or the address that the proxy has seen.

    That is the last one of X-Forwarded-For; those before it are what the visitor claims. For SIMILAR_IMAGES["VISITOR"]
    of a site that is reached by its proxy alone.
    """
    if permissions.is_authenticated(request):
        return f"user:{request.user.pk}"
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    return _network_of(forwarded or request.META.get("REMOTE_ADDR", ""))


def _network_of(address: str) -> str:
    """Return the network of an IPv6 address that one visitor has; any other text as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))


def load_callable(key: str, value: Callable[..., Any] | str) -> Callable[..., Any]:
    """Return the callable that a key of the setting has, or names by its dotted path.

    Raises:
        ImproperlyConfigured: there is none of this path.
    """
    try:
        loaded = import_string(value) if isinstance(value, str) else value
    except ImportError as error:
        raise ImproperlyConfigured(f"SIMILAR_IMAGES[{key!r}] can't be imported: {error}") from error
    if not callable(loaded):
        raise ImproperlyConfigured(f"SIMILAR_IMAGES[{key!r}] is not callable: {value!r}.")
    result: Callable[..., Any] = loaded
    return result
