"""Addresses of pages on the same admin site."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import quote
from django.db import models
from django.urls import NoReverseMatch, reverse
from django.utils.http import urlencode

from ..models import Mark
from ..sources.source import ImageSource
from .page_sources import source_key


def admin_page_url(model_admin: Any, meta: Any, page: str, pk: Any = None) -> str:
    """Return the address of an object's admin page, empty where its model has none on this site.

    Args:
        model_admin: the admin whose site is linked to.
        meta: the `_meta` of the object's model.
        page: the last part of the page's URL name, for example "change".
        pk: the object's primary key; None for a page of the model, such as its list.
    """
    name = f"admin:{meta.app_label}_{meta.model_name}_{page}"
    try:
        return reverse(name, args=[] if pk is None else [quote(pk)], current_app=model_admin.admin_site.name)
    except NoReverseMatch:
        return ""


def pair_page_url(model_admin: Any, source: ImageSource, item: models.Model, other: models.Model | None = None) -> str:
    """Return the address of the page that explains and marks an object and another one; empty where there is none.

    It is a page of the object's admin, where that has the mixin, or else of the admin of marks.

    Args:
        model_admin: the admin whose site is linked to.
        source: the source of their images.
        item: an object, which is an owner if the other one is.
        other: the other object; without it, the page asks for one.
    """
    query = {"field": source_key(source, type(item))} | ({"other": str(other.pk)} if other is not None else {})
    url = admin_page_url(model_admin, item._meta, "similar_images", item.pk)
    if not url:
        url = admin_page_url(model_admin, Mark._meta, "pair", f"{item._meta.label_lower}:{item.pk}")
    return f"{url}?{urlencode(query)}" if url else ""
