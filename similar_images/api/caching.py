"""Tell caches what they may keep of the answers: nothing without asking, and a 304 while nothing has changed.

Whether an answer has changed depends on the index, marks, the setting, the objects and all that `visible` looks at.
Only the answer itself knows all of it, so the `ETag` is its hash; a time of the last change can't be told.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from rest_framework.response import Response

from ..imaging.files import sha256_of

VARY = ("Accept-Language", "Authorization", "Cookie")
"""Request headers that `visible`, and the language of sentences, may depend on."""

SAFE_METHODS = ("GET", "HEAD")


def make_cacheable(request: HttpRequest, response: Response, *, is_personal: bool) -> HttpResponseBase:
    """Return a rendered answer with the headers for caches, or a 304 where the client has the same already.

    Args:
        request: the request.
        response: the answer, whose renderer is set. One that says what caches may do with it is left as it is.
        is_personal: whether it is to a user who is logged in, whose answers only the browser may keep.
    """
    patch_vary_headers(response, VARY)
    if response.has_header("Cache-Control"):
        return response
    if request.method not in SAFE_METHODS or response.status_code != 200:
        response["Cache-Control"] = "no-store"
        return response
    response["Cache-Control"] = f"{'private' if is_personal else 'public'}, no-cache"
    response["ETag"] = _hash_content(response)
    answer = get_conditional_response(request, etag=response["ETag"], response=response)
    return response if answer is None else answer


def _hash_content(response: Response) -> str:
    """Return the validator of an answer: weak, as the address of the next page has the time of the request."""
    content: bytes = response.render().content
    if volatile := getattr(response, "volatile", None):
        content = content.replace(volatile.encode(), b"")
    return f'W/"{sha256_of(content)[:32]}"'
