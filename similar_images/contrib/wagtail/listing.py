"""Listings by similarity: of the images in Wagtail's admin and of its chooser, also within a search or a collection."""

from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.generic import FormView
from wagtail.admin.views.generic import PermissionCheckedMixin, WagtailAdminTemplateMixin
from wagtail.images.views.chooser import ImageChooseResultsView, ImageChooseView
from wagtail.images.views.images import ImagesFilterSet, IndexView

from ...forms.picture import PictureForm
from ...permissions import get_policy
from ...search.querysets import rank_results
from ...visitor_files import load_upload
from .access import image_source

PARAMETER = "similar_to"
"""Parameter that has the key of the image that the others are to be similar to, or the token of an upload."""

MAX_RANKED_IMAGES = 300
"""Images in a listing by similarity, at most."""


def find_example(request: HttpRequest) -> Any:
    """Return what a listing is to be similar to: an image that the user may see, or a picture; None for none."""
    key = request.GET.get(PARAMETER, "")
    source = image_source()
    image = source.get_or_none(get_policy(source).viewable(request), key) if key else None
    return image or (load_upload(key, request) if ":" in key else None)


class SimilarImagesFilterSet(ImagesFilterSet):
    """Wagtail's filters; where images are listed by similarity, that is one of them, and can be cleared."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if example := find_example(self.request):
            self.filters[PARAMETER] = django_filters.ChoiceFilter(
                label=_("Similar to"),
                choices=[(self.request.GET[PARAMETER], str(example))],
                widget=forms.HiddenInput,
                method=lambda images, name, value: images,  # the view ranks them, after all filters
            )


class ImageIndexView(IndexView):
    """The listing of images: ranked where an example is given, unless another order is chosen."""

    filterset_class = SimilarImagesFilterSet

    def get_queryset(self) -> Any:
        """Return the images."""
        found, self.example = super().get_queryset(), find_example(self.request)
        if not self.example:
            return found
        ranked = rank_results(found, self.get_base_queryset(), self.example, self.request, MAX_RANKED_IMAGES)
        return ranked.order_by(self.ordering, "pk") if self.request.GET.get("ordering") else ranked

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the context of the template, which has the order by similarity as one of the orders."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        current = self.ordering if self.request.GET.get("ordering") else ""
        orders = {"": _("Most similar"), **self.ORDERING_OPTIONS}
        own = {"ORDERING_OPTIONS": orders, "current_ordering": current} if self.example else {}
        return {**context, **own}


class SimilarChooserMixin:
    """A page of the chooser, with a link at each image to those that are similar to it."""

    request: HttpRequest
    results_template_name = "similar_images/wagtail/chooser_results.html"

    def filter_object_list(self, objects: models.QuerySet[Any]) -> Any:
        """Return the images, ranked where an example is given."""
        found = super().filter_object_list(objects)  # type: ignore[misc]  # of the view that this is mixed into
        self.example = find_example(self.request)
        return rank_results(found, objects, self.example, self.request, MAX_RANKED_IMAGES) if self.example else found


class SimilarChooseView(SimilarChooserMixin, ImageChooseView):
    """The chooser."""


class SimilarChooseResultsView(SimilarChooserMixin, ImageChooseResultsView):
    """The images in the chooser alone."""


class SearchByPictureView(PermissionCheckedMixin, WagtailAdminTemplateMixin, FormView):
    """The page on which an editor chooses a picture, by which the images are then listed."""

    model = IndexView.model
    any_permission_required = IndexView.any_permission_required
    form_class = PictureForm
    template_name = "similar_images/wagtail/search.html"
    page_title = _("Search images by picture")
    breadcrumbs_items = (*WagtailAdminTemplateMixin.breadcrumbs_items, {"url": "", "label": page_title})
    header_icon = "image"

    def get_form_kwargs(self) -> dict[str, Any]:
        """Return the arguments of the form."""
        return {**super().get_form_kwargs(), "request": self.request, "source": image_source()}

    def form_valid(self, form: PictureForm) -> HttpResponse:
        """Go to the listing."""
        return HttpResponseRedirect(f"{reverse('wagtailimages:index')}?{urlencode({PARAMETER: form.token})}")
