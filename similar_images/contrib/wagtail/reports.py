"""The report of duplicates and of the state of the index, and images compared from the listing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from wagtail.admin import messages
from wagtail.admin.menu import MenuItem
from wagtail.admin.views.reports import ReportView
from wagtail.images import get_image_model
from wagtail.images.views.bulk_actions.image_bulk_action import ImageBulkAction

from ... import marks
from ...comparison.links import comparison_url
from ...duplicates.editor_groups import load_members, open_groups
from ...duplicates.scans import request_scan
from ...indexing.health import source_health
from ...models import DuplicateScan, IndexedImage, Source
from ...permissions import get_policy
from .access import image_source

MAX_SIDE_BY_SIDE = 10
"""Images that are compared together, at most."""


class DuplicatesMenuItem(MenuItem):
    """The report in the menu."""

    def __init__(self) -> None:
        super().__init__(_("Duplicate images"), reverse("similar_images_wagtail_duplicates"), icon_name="image")

    def is_shown(self, request: HttpRequest) -> bool:
        """Check that the user may change images, and so open the report."""
        return get_policy(image_source()).can_change(request)


class DuplicatesReportView(ReportView):
    """Images that are there more than once, and how far the index is, of what the user may see."""

    model = get_image_model()
    permission_required = "change"
    results_template_name = "similar_images/wagtail/duplicates.html"
    page_title = _("Duplicate images")
    header_icon = "image"
    index_url_name = "similar_images_wagtail_duplicates"
    index_results_url_name = "similar_images_wagtail_duplicates_results"

    def get_base_queryset(self) -> Any:
        """Return the groups."""
        return open_groups(image_source(), get_policy(image_source()).viewable(self.request))

    def decorate_paginated_queryset(self, object_list: Any) -> Any:
        """Return the groups of a page with their images."""
        return load_members(image_source(), object_list, get_policy(image_source()).viewable(self.request))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the context of the template, with the state of the index and of the search for duplicates."""
        source = image_source()
        records = IndexedImage.objects.for_source(source)
        health = source_health(records.for_objects(source, get_policy(source).viewable(self.request)))
        scan = DuplicateScan.objects.filter(source_id=Source.objects.get_id(source)).first()
        return {**super().get_context_data(**kwargs), "health": health, "scan": scan, "model_opts": source.model._meta}

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Have a worker look for duplicates."""
        request_scan(Source.objects.get(pk=Source.objects.get_id(image_source())))
        messages.success(request, gettext("The search for duplicates begins as soon as a worker is free."))
        return HttpResponseRedirect(request.path)


class CompareBulkAction(ImageBulkAction):
    """Shows the chosen images side by side, and marks them as not similar to each other."""

    display_name = _("Compare")
    action_type = "compare"
    aria_label = _("Compare the selected images")
    template_name = "similar_images/wagtail/compare.html"
    action_priority = 50

    def get_actionable_objects(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the images that the user may change; others are as if they did not exist."""
        keys = [key for key in self.request.GET.getlist("id") if key.isdecimal()][:MAX_SIDE_BY_SIDE]
        policy = get_policy(image_source())
        images = policy.viewable(self.request).filter(pk__in=keys).order_by("pk")
        return [image for image in images if policy.can_change(self.request, image)], {"items_with_no_access": []}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the context of the template, with the address of the comparison of two by all measures."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        images = [each["item"] for each in context["items"]]
        return {**context, "compare_url": comparison_url(self.request, image_source(), images)}

    def get_execution_context(self) -> dict[str, Any]:
        """Return who marks."""
        return {"user": self.request.user}

    @classmethod
    def execute_action(cls, objects: Sequence[Any], user: Any = None, **kwargs: Any) -> tuple[int, int]:
        """Mark every two of the images as not similar."""
        marks.mark_pairs(image_source(), combinations(objects, 2), is_alike=False, user=user)
        return len(objects), 0

    def get_success_message(self, num_parent_objects: int, num_child_objects: int) -> str:
        """Return what was done."""
        return gettext("Marked as not similar.")
