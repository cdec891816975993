"""Admins of django-filer on Django's site, those that the project registered included, with what is similar."""

from __future__ import annotations

from typing import Any

import filer.admin  # noqa: F401  # registers its admins, which those here inherit from
from django.contrib import admin
from filer.models import Clipboard, Folder

from .access import get_image_model
from .image_admin import ImageAdminMixin
from .listing import FolderAdminMixin
from .uploads import ClipboardAdminMixin

MIXINS: dict[Any, Any] = {
    get_image_model(): ImageAdminMixin,
    Folder: FolderAdminMixin,
    Clipboard: ClipboardAdminMixin,
}
"""The class that is mixed into the admin of each model."""


def extend_admins(site: Any) -> None:
    """Let the admins of django-filer's models on a site, or those that the project has in their place, show it."""
    for model, mixin in MIXINS.items():
        host_class = type(site.get_model_admin(model)) if site.is_registered(model) else None
        if host_class and not issubclass(host_class, mixin):
            site.unregister(model)
            site.register(model, type(host_class.__name__, (mixin, host_class), {}))


extend_admins(admin.site)
