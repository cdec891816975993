"""Pages by their pictures: those that a visitor may see whose images look like the images of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from wagtail.models import Page

from ...search.referrers import find_similar_referrers
from ...sources.anonymous import make_anonymous_request
from .access import image_source, visible_pages


def similar_pages(
    page: Page, request: HttpRequest | None = None, *, paths: Sequence[str] = (), limit: int = 6
) -> list[Any]:
    """Return the pages of the same model whose pictures look most like those of a page, best first.

    They are published, and the visitor may see them and their pictures.

    Args:
        page: a page of a model of its own.
        request: that of the visitor; without one, an anonymous visitor.
        paths: the foreign keys to images, such as ["hero", "gallery__image"]; by default those of the model itself.
        limit: the number of pages, at most.
    """
    model, images, request = page.specific_class, image_source().model, request or make_anonymous_request()
    paths = paths or [field.name for field in model._meta.fields if field.related_model is images]
    return find_similar_referrers(image_source(), page.specific, visible_pages(model, request), paths, request, limit)
