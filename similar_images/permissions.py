"""Permissions of visitors beyond `visible`, taken from their permissions in the admin."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from .sources import ImageSource


def is_authenticated(request: HttpRequest | None) -> bool:
    """Check that the visitor is logged in."""
    return bool(getattr(_user(request), "is_authenticated", False))


def is_staff(request: HttpRequest | None) -> bool:
    """Check that the visitor is one of the staff."""
    return bool(getattr(_user(request), "is_staff", False))


def can_view(request: HttpRequest | None, source: ImageSource) -> bool:
    """Check that the visitor may see objects that `visible` leaves out: staff who may view them in the admin."""
    return can_view_model(request, source.model._meta.app_label, source.model._meta.model_name)


def can_view_model(request: HttpRequest | None, app_label: str, model_name: str | None) -> bool:
    """Check that the visitor is one of the staff who may view the objects of a model in the admin."""
    return any(_has_permission(request, f"{app_label}.{action}_{model_name}") for action in ("view", "change"))


def can_mark(request: HttpRequest | None, source: ImageSource) -> bool:
    """Check that the visitor may mark objects as similar or not: staff who may change them in the admin."""
    return _has_permission(request, f"{source.model._meta.app_label}.change_{source.model._meta.model_name}")


def _has_permission(request: HttpRequest | None, permission: str) -> bool:
    return is_staff(request) and _user(request).has_perm(permission)


def _user(request: HttpRequest | None) -> Any:
    return getattr(request, "user", None)
