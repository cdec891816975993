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
"""What is mixed into the admin of each model."""

for _model, _mixin in MIXINS.items():
    if admin.site.is_registered(_model):
        _host_class = type(admin.site.get_model_admin(_model))
        admin.site.unregister(_model)
        admin.site.register(_model, type(_host_class.__name__, (_mixin, _host_class), {}))
