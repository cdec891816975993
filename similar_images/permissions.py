"""Permissions of editors beyond `visible`: those of the admin, or what the policy of a source says in their place."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.http import HttpRequest

from .sources.source import ImageSource, resolve_callable


def is_authenticated(request: HttpRequest | None) -> bool:
    """Check that the visitor is logged in."""
    return bool(getattr(_user(request), "is_authenticated", False))


def is_staff(request: HttpRequest | None) -> bool:
    """Check that the visitor is one of the staff."""
    return bool(getattr(_user(request), "is_staff", False))


class EditorPolicy:
    """The objects of a source that a user may see and change as an editor, whatever `visible` shows to visitors.

    By default, that is for staff, by the permissions of the model in the admin. A CMS whose editors have permissions of
    another kind registers its sources with a subclass: `register(Image, "file", policy=ImagePolicy)`.
    """

    def __init__(self, source: ImageSource) -> None:
        """Take the source that it decides on."""
        self.source = source

    def viewable(self, request: HttpRequest | None) -> models.QuerySet[Any]:
        """Return the objects that the user of a request may see as an editor; of others, none."""
        return self.source.objects if self.can_view(request) else self.source.objects.none()

    def can_view(self, request: HttpRequest | None) -> bool:
        """Check that the user is one of the editors who may see objects at all."""
        return can_view_model(request, *_permission_label(self.source.model))

    def can_change(self, request: HttpRequest | None, *items: models.Model) -> bool:
        """Check that the user may change all of these objects; without any, that there may be some to be changed."""
        return can_change_model(request, *_permission_label(self.source.model))


def get_policy(source: ImageSource) -> EditorPolicy:
    """Return the policy of a source."""
    policy: type[EditorPolicy] = resolve_callable(source.policy) or EditorPolicy
    return policy(source)


def can_view(request: HttpRequest | None, source: ImageSource) -> bool:
    """Check that the visitor is an editor, who may see objects that `visible` leaves out."""
    return get_policy(source).can_view(request)


def can_view_model(request: HttpRequest | None, app_label: str, model_name: str | None) -> bool:
    """Check that the visitor is one of the staff who may view the objects of a model in the admin."""
    return any(_has_permission(request, f"{app_label}.{action}_{model_name}") for action in ("view", "change"))


def can_mark(request: HttpRequest | None, source: ImageSource, *items: models.Model) -> bool:
    """Check that the visitor may mark objects as similar or not: an editor who may change all of these."""
    return get_policy(source).can_change(request, *items)


def can_change_model(request: HttpRequest | None, app_label: str, model_name: str | None) -> bool:
    """Check that the visitor is one of the staff who may change the objects of a model in the admin."""
    return _has_permission(request, f"{app_label}.change_{model_name}")


def _has_permission(request: HttpRequest | None, permission: str) -> bool:
    return is_staff(request) and _user(request).has_perm(permission)


def _permission_label(model: type[models.Model]) -> tuple[str, str | None]:
    return model._meta.app_label, model._meta.model_name


def _user(request: HttpRequest | None) -> Any:
    return getattr(request, "user", None)
