"""Listings by similarity: of the images in Wagtail's admin and of its chooser, also within a search or a collection."""

from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from wagtail.admin.ui.tables import TitleColumn
from wagtail.images import get_image_model
from wagtail.images.views.chooser import ImageChooseResultsView, ImageChooseView
from wagtail.images.views.images import ImagesFilterSet, IndexView

from ... import conf, registry
from ...permissions import get_policy
from ...search.querysets import rank_by_similarity

PARAMETER = "similar_to"
"""Parameter of a query that has the key of the image that the others are to be similar to."""

MAX_SIMILAR = 300
"""Images in a listing by similarity, at most."""

MAX_FOUND = 1_000
"""Images that a search by words finds of which the similar ones are listed: the best ones."""


def find_example(request: HttpRequest) -> Any:
    """Return the image that a listing is to be similar to; None for none, and for one that the user may not see."""
    source = registry.get_source(get_image_model(), "file")
    key = request.GET.get(PARAMETER, "")
    return source.get_or_none(get_policy(source).viewable(request), key) if key else None


def rank_images(found: Any, objects: models.QuerySet[Any], example: Any, request: HttpRequest) -> models.QuerySet[Any]:
    """Return those of the images that are similar to one, best first.

    Args:
        found: a queryset, or the results of a search by words.
        objects: the queryset that was searched by words.
        example: the image.
        request: that of the user.
    """
    if not isinstance(found, models.QuerySet):
        found = objects.filter(pk__in=[image.pk for image in found[:MAX_FOUND]])
    options = {"limit": MAX_SIMILAR, "fold": False, "min_similarity": conf.get().min_similarity_on("page")}
    return rank_by_similarity(found, example, request=request, for_editors=True, **options)


class SimilarImagesFilterSet(ImagesFilterSet):
    """Wagtail's filters; where images are listed by similarity, that is one of them, and can be cleared."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if example := find_example(self.request):
            self.filters[PARAMETER] = ExampleFilter(
                label=_("Similar to"),
                queryset=example.__class__._default_manager.filter(pk=example.pk),
                widget=forms.HiddenInput,
            )


class ExampleFilter(django_filters.ModelChoiceFilter):
    """The image that the others are similar to; the view ranks them, after all filters."""

    def filter(self, qs: Any, value: Any) -> Any:
        """Return all."""
        return qs


class ImageIndexView(IndexView):
    """The listing of images: ranked where an image is given, unless another order is chosen."""

    filterset_class = SimilarImagesFilterSet

    def get_queryset(self) -> Any:
        """Return the images."""
        found = super().get_queryset()
        if not self.example:
            return found
        ranked = rank_images(found, self.get_base_queryset(), self.example, self.request)
        return ranked.order_by(self.ordering, "pk") if self.request.GET.get("ordering") else ranked

    @cached_property
    def example(self) -> Any:
        """The image that the others are similar to."""
        return find_example(self.request)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the context of the template, which has the order by similarity as one of the orders."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        if not self.example:
            return context
        current = self.ordering if self.request.GET.get("ordering") else ""
        orders = {"": _("Most similar"), **self.ORDERING_OPTIONS}
        return {**context, "ORDERING_OPTIONS": orders, "current_ordering": current}


class SimilarChooserMixin:
    """A page of the chooser, with a link at each image to those that are similar to it."""

    request: HttpRequest
    layout: str
    append_preserved_url_parameters: Any
    results_template_name = "similar_images/wagtail/chooser_results.html"

    @cached_property
    def example(self) -> Any:
        """The image that the others are similar to."""
        return find_example(self.request)

    def filter_object_list(self, objects: models.QuerySet[Any]) -> Any:
        """Return the images, ranked where one is given."""
        found = super().filter_object_list(objects)  # type: ignore[misc]  # of the view that this is mixed into
        return rank_images(found, objects, self.example, self.request) if self.example else found

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the context of the template, with the addresses by which to list by similarity, and no longer."""
        context: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]
        for image in context["results"]:
            image.similar_url = self._listing_url(image.pk)
        return {**context, "example": self.example, "all_images_url": self._listing_url(None)}

    @cached_property
    def columns(self) -> list[Any]:
        """The columns of the list, with one for the link."""
        columns: list[Any] = super().columns  # type: ignore[misc]
        link = TitleColumn(
            "similar",
            label=_("Similar"),
            accessor=lambda image: _("Similar to this"),
            get_url=lambda image: image.similar_url,
            link_attrs={"data-chooser-modal-choice": True},
        )
        return [*columns, link] if columns else columns

    def _listing_url(self, pk: Any) -> str:
        parameters = self.request.GET.copy()
        parameters.pop("p", None)
        parameters.pop(PARAMETER, None)
        if pk is not None:
            parameters[PARAMETER] = str(pk)
        return f"{reverse('wagtailimages_chooser:choose')}?{parameters.urlencode()}"


class SimilarChooseView(SimilarChooserMixin, ImageChooseView):
    """The chooser."""


class SimilarChooseResultsView(SimilarChooserMixin, ImageChooseResultsView):
    """The images in the chooser alone."""
