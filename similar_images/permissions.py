"""Permissions of visitors beyond `visible`, taken from their permissions in the admin."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from .registry import ImageSource


def is_staff(request: HttpRequest | None) -> bool:
    """Check that the visitor may see the total number of objects."""
    return bool(getattr(_user(request), "is_staff", False))


def can_view(request: HttpRequest | None, source: ImageSource) -> bool:
    """Check that the visitor may see objects that `visible` leaves out: staff who may view them in the admin."""
    return any(_has_permission(request, action, source) for action in ("view", "change"))


def can_mark(request: HttpRequest | None, source: ImageSource) -> bool:
    """Check that the visitor may mark objects as similar or not: staff who may change them in the admin."""
    return _has_permission(request, "change", source)


def _has_permission(request: HttpRequest | None, action: str, source: ImageSource) -> bool:
    meta = source.model._meta
    return is_staff(request) and _user(request).has_perm(f"{meta.app_label}.{action}_{meta.model_name}")


def _user(request: HttpRequest | None) -> Any:
    return getattr(request, "user", None)
