"""Privacy: sources whose objects every visitor may see."""

from __future__ import annotations

from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error

from .. import registry

MEDIA_LIBRARIES = {
    "wagtail.images.models.AbstractImage": "Add 'similar_images.contrib.wagtail' to INSTALLED_APPS: visitors then see "
    "what the privacy of collections lets them.",
    "filer.models.abstract.BaseImage": "Add 'similar_images.contrib.djangocms' to INSTALLED_APPS: visitors then see "
    "what the permissions of django-filer let them.",
    "oscar.apps.catalogue.abstract_models.AbstractProductImage": "Add 'similar_images.contrib.oscar' to "
    "INSTALLED_APPS: visitors then see the images of public products.",
}
"""Image models of content management systems, some of whose images may be private, and how they are registered."""


def check_visible(**kwargs: Any) -> list[CheckMessage]:
    """Report sources whose objects everybody may see."""
    return [
        checks.Warning(
            f"Every visitor may see every object of {source.label}.",
            hint=f"Restrict what visitors may see: similar_images.register({source.model.__name__}, "
            f'"{source.field_name}", '
            "visible=lambda request: …).",
            id="similar_images.W003",
        )
        for source in registry.get_sources()
        if source.visible is None
    ]


def check_media_libraries(**kwargs: Any) -> list[CheckMessage]:
    """Report media libraries with private images of which every visitor may see all."""
    return [
        Error(
            f"Every visitor may see every image of {source.model._meta.label}, private ones among them.",
            hint=hint,
            id="similar_images.E022",
        )
        for source in registry.get_sources()
        if source.visible is None
        for parent in source.model.__mro__
        if (hint := MEDIA_LIBRARIES.get(f"{parent.__module__}.{parent.__qualname__}"))
    ]
