"""Access to django-filer's images by its permissions: of visitors, and of editors in the admin."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from filer import settings as filer_settings
from filer.models import FolderPermission

from ...permissions import EditorPolicy, is_staff

EVERY_FILE, NO_FILE = ~Q(pk__in=[]), Q(pk__in=[])


def get_image_model() -> Any:
    """Return the model that FILER_IMAGE_MODEL names."""
    return apps.get_model(filer_settings.FILER_IMAGE_MODEL)


def get_image_title(image: Any) -> str:
    """Return the name that an editor gave an image, or else its description for those who can't see it, or its file."""
    return str(image.name or image.default_alt_text or image.label)


def get_image_url(image: Any) -> str:
    """Return the address of the file, which django-filer's server guards if it is private."""
    return str(image.url)


def readable_images(request: HttpRequest) -> models.QuerySet[Any]:
    """Return the images that a visitor may see: public ones, and private ones that django-filer would serve."""
    images: models.QuerySet[Any] = get_image_model()._default_manager.all()
    return images.filter(Q(is_public=True) | _permitted(get_user(request), "read"))


def editable_images(request: HttpRequest | None) -> models.QuerySet[Any]:
    """Return the images whose page in the admin a user may open, as long as they are staff: to change them, or to look.

    Looking takes the permission of the model, too, and is for unfiled images as well, which are a shared inbox.
    """
    user, meta = get_user(request), get_image_model()._meta
    condition = _permitted(user, "edit")
    codenames = (get_permission_codename(action, meta) for action in ("view", "change"))
    if any(user.has_perm(f"{meta.app_label}.{codename}") for codename in codenames):
        condition |= _permitted(user, "read") | Q(folder=None)
    images: models.QuerySet[Any] = get_image_model()._default_manager.filter(condition)
    return images


def _permitted(user: Any, action: str) -> Q:
    """Return the condition under which `File.has_generic_permission()` is true."""
    if not user.is_authenticated:
        return NO_FILE
    if user.is_superuser:
        return EVERY_FILE
    folders = getattr(FolderPermission.objects, f"get_{action}_id_list")(user)
    in_folders = Q(folder__isnull=False) if folders == "All" else Q(folder__in=folders)
    return Q(owner=user) | Q(folder__owner=user) | in_folders


class FilerPolicy(EditorPolicy):
    """Editors are the staff who may use django-filer's media library, each for the images whose pages they may open."""

    def viewable(self, request: HttpRequest | None) -> models.QuerySet[Any]:
        """Return the images whose pages in the admin the user may open."""
        return editable_images(request) if self.can_view(request) else self.source.objects.none()

    def can_view(self, request: HttpRequest | None) -> bool:
        """Check that the user may use the media library."""
        return is_staff(request) and bool(get_user(request).has_perm("filer.can_use_directory_listing"))

    def can_change(self, request: HttpRequest | None, *items: models.Model) -> bool:
        """Check that the user may change all of these images; without any, that they may use the media library."""
        images: Any = items
        return self.can_view(request) and all(image.has_edit_permission(request) for image in images)


def get_user(request: HttpRequest | None) -> Any:
    """Return the user of a request, or an anonymous one."""
    return getattr(request, "user", None) or AnonymousUser()
