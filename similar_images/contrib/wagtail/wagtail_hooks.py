"""Hooks by which Wagtail finds the pages of the integration, before its own at the same addresses."""

from __future__ import annotations

from django.urls import URLPattern, path
from wagtail import hooks

from .editing import EditImageView, MarkImagesView
from .listing import ImageIndexView
from .uploads import AddImagesView


@hooks.register("register_admin_urls", order=-1)
def register_admin_urls() -> list[URLPattern]:
    """Return the addresses of the pages of images."""
    return [
        path("images/", ImageIndexView.as_view()),
        path("images/results/", ImageIndexView.as_view(results_only=True)),
        path("images/<int:image_id>/", EditImageView.as_view()),
        path("images/multiple/add/", AddImagesView.as_view()),
        path("similar-images/<int:pk>/mark/", MarkImagesView.as_view(), name="similar_images_wagtail_mark"),
    ]
