"""Tell caches what they may keep of the answers: nothing without asking, and a 304 while nothing has changed.

Whether an answer has changed depends on the index, marks, the setting, the objects and all that `visible` looks at.
Only the answer itself knows all of it, so the `ETag` begins with its hash. What follows is a seal of the state of the
database that it was made from: while nobody has written anything there, neither a 304 nor the same answer again needs
a search.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from hashlib import sha256
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import EmptyResultSet
from django.db import connections, models, router
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.http import http_date, parse_etags
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import get_language
from rest_framework.response import Response

from .. import __version__, conf
from ..models import IndexedImage
from ..sources.source import ImageSource

VARY = ("Accept-Language", "Authorization", "Cookie")
"""Request headers that `visible`, and the language of sentences, may depend on."""

SAFE_METHODS = ("GET", "HEAD")

SEAL_SECONDS = 300
"""Time for which a seal holds: addresses of files may expire, and what is not in the database may change."""

MAX_KEPT = 256
"""Answers that a process keeps, of some 5 kB each."""

SEAL_SALT = "similar_images.etag"

SNAPSHOT_SQL = """
SELECT CASE WHEN pg_current_xact_id_if_assigned() IS NULL THEN
    concat_ws(' ', pg_current_snapshot(), CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END)
END
"""
"""The transactions that can be seen; the log's position on a replica, whose snapshots do not list those that run.

NULL in a transaction that has written itself: what it goes on to write does not show.
"""

CHANGES_BY_ITSELF = re.compile(
    r"\b(current_\w+|localtime\w*|((clock|statement|transaction)_timestamp|now|timeofday|(gen_)?random\w*)\s*\()", re.I
)
"""Pattern of SQL whose rows change without a write, such as those of `Now()`."""


class KeptAnswer(NamedTuple):
    """An answer that this process has given, and the time of it in seconds."""

    made_at: int
    etag: str
    content: bytes


_kept_answers = LocMemCache("similar_images.answers", {"timeout": SEAL_SECONDS, "OPTIONS": {"MAX_ENTRIES": MAX_KEPT}})


def read_state(request: HttpRequest, sources: Collection[ImageSource]) -> str | None:
    """Return a text that is the same as long as an answer to this request would be; None where none can be told.

    It has to be read before the answer is made. What the project's own callables show, such as a serializer that reads
    the request or the time, can't be told.

    Args:
        request: the request, with its user.
        sources: the sources whose objects the answer may have.
    """
    if any(source.title or source.url or source.thumbnail or source.serializer for source in sources):
        return None
    found = [source.visible_querysets(request) for source in sources]
    alias = router.db_for_read(IndexedImage)
    visible = [_describe_rows(queryset, alias) for images, owners in found for queryset in (images, *owners)]
    if None in visible:
        return None
    with connections[alias].cursor() as cursor:
        cursor.execute(SNAPSHOT_SQL)
        snapshot = cursor.fetchone()[0]
    if snapshot is None:
        return None
    headers = [request.headers.get(name) for name in VARY]
    user = getattr(getattr(request, "user", None), "pk", None)
    address = (request.scheme, request.get_host(), request.get_full_path(), headers, user)
    site = (__version__, conf.get().fingerprint, settings.MEDIA_URL, get_language(), get_current_timezone_name())
    return repr((snapshot, visible, address, site))


def find_answer(request: HttpRequest, state: str | None, *, is_personal: bool) -> HttpResponse | None:
    """Return the answer that was made from this state: a 304 where the client has it; None where it is not kept."""
    if state is None or request.method not in SAFE_METHODS:
        return None
    if unchanged := _find_unchanged(request, state, is_personal=is_personal):
        return unchanged
    kept: KeptAnswer | None = _kept_answers.get(_key_of(state))
    if kept is None:
        return None
    response = HttpResponse(kept.content, content_type="application/json")
    _set_headers(response, kept.etag, is_personal=is_personal)
    response["Last-Modified"] = http_date(kept.made_at)
    return _as_asked(request, response, kept.etag)


def _find_unchanged(request: HttpRequest, state: str, *, is_personal: bool) -> HttpResponse | None:
    for etag in _given_etags(request):
        digest, _dot, seal = etag.removeprefix('W/"').removesuffix('"').partition(".")
        made_at = seal.partition(".")[0]
        is_fresh = made_at.isdecimal() and made_at.isascii() and 0 <= time.time() - int(made_at) < SEAL_SECONDS
        if is_fresh and constant_time_compare(seal, _seal(digest, state, made_at)):
            unchanged = HttpResponseNotModified()
            _set_headers(unchanged, etag, is_personal=is_personal)
            return unchanged
    return None


def _set_headers(response: HttpResponseBase, etag: str, *, is_personal: bool) -> None:
    response["ETag"] = etag
    response["Cache-Control"] = f"{'private' if is_personal else 'public'}, no-cache"
    patch_vary_headers(response, VARY)


def make_cacheable(request: HttpRequest, response: Response, *, is_personal: bool) -> HttpResponseBase:
    """Return a rendered answer with the headers for caches, or a 304 where the client has the same already.

    Args:
        request: the request.
        response: the answer, whose renderer is set. One that says what caches may do with it is left as it is.
        is_personal: whether it is to a user who is logged in, whose answers only the browser may keep.
    """
    if response.has_header("Cache-Control") or request.method not in SAFE_METHODS or response.status_code != 200:
        patch_vary_headers(response, VARY)
        response.setdefault("Cache-Control", "no-store")
        return response
    digest, made_at = _hash_content(response), int(time.time())
    etag = f'W/"{digest}"'
    if state := getattr(response, "state", None):
        etag = f'W/"{digest}.{_seal(digest, state, str(made_at))}"'
        _kept_answers.set(_key_of(state), KeptAnswer(made_at, etag, response.content))
    _set_headers(response, etag, is_personal=is_personal)
    response["Last-Modified"] = http_date(made_at)
    return _as_asked(request, response, etag)


def _as_asked(request: HttpRequest, response: HttpResponse, etag: str) -> HttpResponse:
    """Return an answer, or a 304 where the client has the same, whatever state of the database it was made from."""
    same = next((given for given in _given_etags(request) if _digest_of(given) == _digest_of(etag)), None)
    answer: HttpResponse | None = get_conditional_response(request, etag=same or etag, response=response)
    return response if answer is None else answer


def _digest_of(etag: str) -> str:
    """Return the hash of the answer in an `ETag` of ours."""
    return etag.removeprefix('W/"').removesuffix('"').partition(".")[0]


def _given_etags(request: HttpRequest) -> list[str]:
    return parse_etags(request.headers.get("If-None-Match", ""))


def _key_of(state: str) -> str:
    return sha256(state.encode()).hexdigest()


def _hash_content(response: Response) -> str:
    """Return the hash of an answer, without what differs each time, as the address of the next page does."""
    content: bytes = response.render().content
    if volatile := getattr(response, "volatile", None):
        content = content.replace(volatile.encode(), b"")
    return sha256(content).hexdigest()[:32]


def _seal(digest: str, state: str, made_at: str) -> str:
    """Return what proves that an answer was made from a state, and when; a client can't make it."""
    return f"{made_at}.{salted_hmac(SEAL_SALT, f'{digest} {made_at} {state}', algorithm='sha256').hexdigest()[:32]}"


def _describe_rows(queryset: models.QuerySet[Any], alias: str) -> str | None:
    """Return the statement of a queryset with its values; None where its rows change without a write."""
    try:
        statement = repr(queryset.query.get_compiler(alias).as_sql())
    except EmptyResultSet:
        return ""
    return None if CHANGES_BY_ITSELF.search(statement) else statement
