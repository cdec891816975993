"""Addresses of pages on the same admin site."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..models import Source


def admin_page_url(model_admin: Any, meta: Any, page: str, pk: Any) -> str:
    """Return the address of an object's admin page, empty where its model has none on this site.

    Args:
        model_admin: the admin whose site is linked to.
        meta: the `_meta` of the object's model.
        page: the last part of the page's URL name, for example "change".
        pk: the object's primary key.
    """
    name = f"admin:{meta.app_label}_{meta.model_name}_{page}"
    try:
        return reverse(name, args=[quote(pk)], current_app=model_admin.admin_site.name)
    except NoReverseMatch:
        return ""


def object_link(model_admin: Any, source: Source, object_id: str) -> SafeString | str:
    """Return a link to the change page of an object, its bare id where there is no such page."""
    image_source = source.image_source
    url = admin_page_url(model_admin, image_source.model._meta, "change", object_id) if image_source else ""
    return format_html('<a href="{}">{}</a>', url, object_id) if url else object_id
