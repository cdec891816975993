"""Pages of the host, and the policy that they are under."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render

from .models import Item, Sketch

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; require-trusted-types-for 'script'; trusted-types vue"
)


def set_policy(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: nothing inline, nothing of other sites, and no text that a script makes HTML of."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return answer


def show_item(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Show an item with the widget that the parameters ask for; `slow` sends it as a slow line would."""
    context = {"object": get_object_or_404(Item, pk=pk), "options": request.GET, "is_lazy": "lazy" in request.GET}
    page = render(request, "front/item.html", context)
    return StreamingHttpResponse(in_pieces(page.content)) if "slow" in request.GET else page


def in_pieces(content: bytes) -> Iterator[bytes]:
    for line in filter(bytes.strip, content.splitlines(keepends=True)):
        yield line
        time.sleep(0.03)


def show_sketch(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "front/item.html", {"object": get_object_or_404(Sketch, pk=pk), "options": request.GET})


def show_list(request: HttpRequest) -> HttpResponse:
    return render(request, "front/list.html", {"items": Item.objects.order_by("pk")[:24]})
