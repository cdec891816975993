"""Cursors: what comes after a page of matches, the same while other images are indexed.

A cursor has the time of the first page, after which images that are indexed are left out of the pages that follow, and
the last match that was shown. It is signed, and good for the search that made it alone. REST answers with a page after
another; an HTML page grows, and shows all that came before, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.core import signing
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import conf
from ..search.matches import Match, Matches, run_search, similar_to
from ..search.options import OptionError, SearchOptions
from ..search.plan import plan_search
from .search import RestSimilarForm, RestTextForm, SearchOptionsForm

MAX_RANK = 300
"""Matches that can be paged through; no page goes on after them."""

CURSOR_SALT = "similar_images.cursor"

IGNORED = ("cursor", "limit", "format")
"""Parameters that may change from page to page."""


@dataclass(frozen=True)
class Cursor:
    """A place among the matches of a search.

    `started_at` is the time of the first page, `rank` the number of matches before, and `last` the key of the last one
    of them.
    """

    started_at: datetime
    rank: int = 0
    last: str = ""

    def select_page(self, matches: Sequence[Match], limit: int) -> list[Match]:
        """Return the matches of a page, of all that have been found for this and the pages before it.

        They come after the last one that was shown; where that is gone, after as many as were shown with it.
        """
        if not self.last:
            return list(matches[:limit])
        keys = [match.key for match in matches]
        start = keys.index(self.last) + 1 if self.last in keys else max(self.rank - 1, 0)
        return list(matches[start : start + limit])

    def advance(self, page: Sequence[Match]) -> Cursor:
        """Return the place after a page."""
        return Cursor(self.started_at, self.rank + len(page), page[-1].key)


class Page(NamedTuple):
    """A page of matches.

    `next` is the address of the next one, and `freshness` the status of what was searched by before the search, with
    the last time when an image of it was indexed; None where it is not an object.
    """

    results: Matches
    next: str | None
    freshness: tuple[str, datetime | None] | None


def find_page(request: HttpRequest, form: RestSimilarForm | RestTextForm, query: Any, options: dict[str, Any]) -> Page:
    """Search, and return the page that a request asks for.

    Args:
        request: the request.
        form: its form, which is valid.
        query: what `similar_to` takes.
        options: further arguments of it.

    Raises:
        OptionError: the cursor is none.
    """
    cursor, options = _start_at(form.cleaned_data["cursor"], request, options)
    limit = min(options.get("limit") or conf.get().limit, MAX_RANK - cursor.rank)
    arguments = {**options, "limit": cursor.rank + limit}
    search = plan_search(query, SearchOptions.from_arguments("similar_to", arguments))
    freshness = search.freshness if query is not None else None
    matches = run_search(search)
    page = Matches(cursor.select_page(matches, limit), is_complete=matches.is_complete)
    is_full = len(page) == limit and cursor.rank + limit < MAX_RANK
    # Where images are compared, each page would compare those of all before it again.
    has_next = is_full and not page[-1].is_fallback and not {"copy", "rerank"} & set(form.costly_actions)
    query_string = write_cursor(cursor.advance(page), request) if has_next else ""
    return Page(page, request.build_absolute_uri(request.path + query_string) if has_next else None, freshness)


class GrownMatches(NamedTuple):
    """All matches up to where a page has grown.

    `shown_before` is the number of those that it had before, and `more_url` the address of the same and further ones,
    empty where there are none to be shown.
    """

    matches: Matches
    shown_before: int = 0
    more_url: str = ""


def find_grown(request: HttpRequest, form: SearchOptionsForm, query: Any, options: dict[str, Any]) -> GrownMatches:
    """Search, and return what a page shows that grows by its `cursor`, from its first match on.

    Args:
        request: the request.
        form: its form, which is valid.
        query: what `similar_to` takes.
        options: further arguments of it.

    Raises:
        OptionError: the cursor is none.
    """
    cursor, options = _start_at(request.GET.get("cursor"), request, options)
    maximum = form.max_limit if form.compares_images else MAX_RANK
    count = min(cursor.rank + (options.get("limit") or conf.get().limit), maximum)
    matches = similar_to(query, **{**options, "limit": count})
    # An upload that was not kept is there for one request alone.
    has_more = request.method == "GET" and len(matches) == count < maximum and not matches[-1].is_fallback
    grown = Cursor(cursor.started_at, count)
    return GrownMatches(matches, cursor.rank, write_cursor(grown, request) if has_more else "")


def _start_at(value: str | None, request: HttpRequest, options: dict[str, Any]) -> tuple[Cursor, dict[str, Any]]:
    """Return the cursor that a request names, or that of a first page, and the options with its time.

    Raises:
        OptionError: the cursor is none.
    """
    if not value:
        return Cursor(timezone.now()), options
    cursor = read_cursor(value, request)
    return cursor, {**options, "indexed_before": cursor.started_at}


def write_cursor(cursor: Cursor, request: HttpRequest) -> str:
    """Return the query string of the page that starts at a cursor: that of the request, with `cursor` replaced."""
    value = signing.dumps([cursor.started_at.timestamp(), cursor.rank, cursor.last], salt=_salt_of(request))
    query = [pair for pair in _parameters(request) if pair[0] != "cursor"]
    return f"?{urlencode([*query, ('cursor', value)])}"


def read_cursor(value: str, request: HttpRequest) -> Cursor:
    """Return the cursor of a request for a further page.

    Raises:
        OptionError: it is none, or that of another search.
    """
    try:
        seconds, rank, last = signing.loads(value, salt=_salt_of(request))
    except signing.BadSignature:
        message = _("This is not the cursor of this search. Start again without it.")
        raise OptionError("cursor", message) from None
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return Cursor(moment if timezone.is_aware(timezone.now()) else timezone.make_naive(moment), rank, last)


def _salt_of(request: HttpRequest) -> str:
    """Return what tells a search from others: its path and its parameters, but for the number of matches."""
    return f"{CURSOR_SALT}:{request.path}?{urlencode(sorted(p for p in _parameters(request) if p[0] not in IGNORED))}"


def _parameters(request: HttpRequest) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in request.GET.lists() for value in values]
