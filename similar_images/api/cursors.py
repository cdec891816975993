"""Cursors: what comes after a page of matches, the same while other images are indexed.

A cursor has the time of the first page, after which images that are indexed are left out of the pages that follow, and
the last match that was shown. It is signed, and good for the search that made it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.core import signing
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError

from .. import conf
from ..forms.search import RestSimilarForm, RestTextForm
from ..search.matches import Match, Matches, similar_to

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


def find_page(
    request: HttpRequest, form: RestSimilarForm | RestTextForm, query: Any, options: dict[str, Any]
) -> dict[str, Any]:
    """Search, and return the page that a request asks for as `results`, with the address of the `next` one.

    Args:
        request: the request.
        form: its form, which is valid.
        query: what `similar_to` takes.
        options: further arguments of it.

    Raises:
        ValidationError: the cursor is none.
    """
    cursor = Cursor(timezone.now())
    if value := form.cleaned_data["cursor"]:
        cursor = read_cursor(value, request)
        options = {**options, "indexed_before": cursor.started_at}
    limit = min(options.get("limit") or conf.get().limit, MAX_RANK - cursor.rank)
    matches = similar_to(query, **{**options, "limit": cursor.rank + limit})
    page = Matches(cursor.select_page(matches, limit), is_complete=matches.is_complete)
    is_full = len(page) == limit and cursor.rank + limit < MAX_RANK
    # Where images are compared, each page would compare those of all before it again.
    has_next = is_full and not page[-1].is_fallback and not {"copy", "rerank"} & set(form.costly_actions)
    return {"results": page, "next": write_cursor(cursor.advance(page), request) if has_next else None}


def write_cursor(cursor: Cursor, request: HttpRequest) -> str:
    """Return the absolute address of the page that starts at a cursor: that of the request, with `cursor` replaced."""
    value = signing.dumps([cursor.started_at.timestamp(), cursor.rank, cursor.last], salt=_salt_of(request))
    query = [pair for pair in _parameters(request) if pair[0] != "cursor"]
    return request.build_absolute_uri(f"{request.path}?{urlencode([*query, ('cursor', value)])}")


def read_cursor(value: str, request: HttpRequest) -> Cursor:
    """Return the cursor of a request for a further page.

    Raises:
        ValidationError: it is none, or that of another search.
    """
    try:
        seconds, rank, last = signing.loads(value, salt=_salt_of(request))
    except signing.BadSignature:
        message = _("This is not the cursor of this search. Start again without it.")
        raise ValidationError({"cursor": [message]}) from None
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return Cursor(moment if timezone.is_aware(timezone.now()) else timezone.make_naive(moment), rank, last)


def _salt_of(request: HttpRequest) -> str:
    """Return what tells a search from others: its path and its parameters, but for the number of matches."""
    return f"{CURSOR_SALT}:{request.path}?{urlencode(sorted(p for p in _parameters(request) if p[0] not in IGNORED))}"


def _parameters(request: HttpRequest) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in request.GET.lists() for value in values]
