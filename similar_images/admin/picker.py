"""The choice of another object: the admin's autocomplete field, and pages of images to choose from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from django.db import models
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _

from ..search.batch import images_of_each
from ..sources.source import ImageSource
from ..thumbnails import Thumbnail
from .object_access import ObjectAccess

ITEMS_PER_PAGE = 24
"""Objects on a page of the choice."""


class ItemPicker:
    """The objects of a model that the user may choose from, a page at a time.

    An object is looked at by its own permission, where the admin decides so; nothing tells how many there are.
    """

    def __init__(self, user_access: ObjectAccess, source: ImageSource, item: models.Model) -> None:
        """Take what the user may see, the source, and the object that another is chosen for."""
        self.access = user_access
        self.source = source
        self.item = item
        self.request: HttpRequest = user_access.request
        self.model_admin = user_access.admin_of(type(item))

    @property
    def can_search(self) -> bool:
        """Tell whether the admin of the objects can search."""
        get_search_fields = getattr(self.model_admin, "get_search_fields", None)
        return bool(get_search_fields and get_search_fields(self.request))

    def read_page(self, term: str, number: str) -> tuple[list[Any], int | None]:
        """Return a page of objects, and the number of the next; None after the last.

        Args:
            term: text to search for.
            number: the page, counted from 1.
        """
        index = max(int(number) if number.isdecimal() and len(number) < 7 else 1, 1)
        found = self.access.objects(type(self.item))
        if term and self.can_search:
            found, has_duplicates = self.model_admin.get_search_results(self.request, found, term)
            found = found.distinct() if has_duplicates else found
        if not found.ordered:
            found = found.order_by("-pk")
        start = (index - 1) * ITEMS_PER_PAGE
        items = list(found[start : start + ITEMS_PER_PAGE + 1])
        shown = [item for item in items[:ITEMS_PER_PAGE] if item.pk != self.item.pk and self.access.can_view(item)]
        return shown, index + 1 if len(items) > ITEMS_PER_PAGE else None

    def choices(self, items: Iterable[models.Model]) -> list[dict[str, Any]]:
        """Return the key, title and image of objects, and its thumbnail where there is one."""
        items = list(items)
        groups = images_of_each(self.source, items, self.access.images(self.source))
        images = {item.pk: group[0] if group else None for item, group in zip(items, groups, strict=True)}
        thumbnails = self.source.make_thumbnails([image for image in images.values() if image is not None])
        choices = []
        for item in items:
            image = images[item.pk]
            file = getattr(image, self.source.field_name) if image is not None else None
            thumbnail: Thumbnail | None = thumbnails.make(file) if file and self.source.thumbnail else None
            choices.append(
                {"pk": item.pk, "title": str(item), "url": thumbnail.url if thumbnail else file and file.url}
            )
        return choices

    def respond(self) -> JsonResponse:
        """Answer the autocomplete field."""
        items, following = self.read_page(self.request.GET.get("term", ""), self.request.GET.get("page", "1"))
        results = [{"id": str(item.pk), "text": str(item)} for item in items]
        return JsonResponse({"results": results, "pagination": {"more": following is not None}})


class ItemSelect(AutocompleteSelect):
    """The admin's autocomplete field, for an object that no relation leads to."""

    def __init__(self, picker: ItemPicker, url: str, chosen: models.Model | None) -> None:
        """Take the objects, the address that answers the field, and the object that is chosen."""
        super().__init__(picker.item._meta.pk, picker.access.site)
        self.url = url
        self.choices = [("", ""), *([(chosen.pk, str(chosen))] if chosen is not None else [])]

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        """Return the attributes, with a text for the empty field, which names it to screen readers."""
        return super().build_attrs(base_attrs, extra_attrs) | {"data-placeholder": _("Item")}

    def get_url(self) -> str:
        """Return the address that answers the field."""
        return self.url

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        """Return the object that is chosen; the field asks for others."""
        return forms.Select.optgroups(self, name, value, attrs)
