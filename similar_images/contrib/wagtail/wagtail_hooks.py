"""Hooks by which Wagtail finds the pages of the integration, before its own at the same addresses."""

from __future__ import annotations

from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from wagtail import hooks
from wagtail.images.wagtail_hooks import ImagesSearchArea

from ...mark_view import MarkPairView
from .editing import EditImageView
from .listing import ImageIndexView, SearchByPictureView
from .reports import CompareBulkAction, DuplicatesMenuItem, DuplicatesReportView
from .uploads import AddImagesView, AddImageView

URL_NAMES = "similar_images_wagtail"

hooks.register("register_bulk_action", CompareBulkAction)
hooks.register("register_reports_menu_item", DuplicatesMenuItem)
hooks.register(
    "register_admin_search_area",
    lambda: ImagesSearchArea(_("Images by picture"), reverse(f"{URL_NAMES}_search"), icon_name="image", order=210),
)


@hooks.register("register_admin_urls", order=-1)
def register_admin_urls() -> list[URLPattern]:
    """Return the addresses of the pages of images."""
    as_results = DuplicatesReportView.as_view(results_only=True)
    return [
        path("images/", ImageIndexView.as_view()),
        path("images/results/", ImageIndexView.as_view(results_only=True)),
        path("images/<int:image_id>/", EditImageView.as_view()),
        path("images/add/", AddImageView.as_view()),
        path("images/multiple/add/", AddImagesView.as_view()),
        path("similar-images/search/", SearchByPictureView.as_view(), name=f"{URL_NAMES}_search"),
        path("similar-images/<str:model>/<str:pk>/mark/", MarkPairView.as_view(), name=f"{URL_NAMES}_mark"),
        path("reports/duplicate-images/", DuplicatesReportView.as_view(), name=f"{URL_NAMES}_duplicates"),
        path("reports/duplicate-images/results/", as_results, name=f"{URL_NAMES}_duplicates_results"),
    ]
