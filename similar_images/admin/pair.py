"""The page on two objects: why one is a match of the other or not, and marks, with undo."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.template.response import TemplateResponse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext as _

from .. import access, marks
from ..forms.mark import MarkForm
from ..models import Mark
from ..search import explain
from ..search.matches import search_among
from ..search.search import Search
from ..sources.source import ImageSource
from .links import admin_page_url, pair_page_url
from .object_access import ObjectAccess
from .page_sources import min_listed_similarity
from .panel import similarity_parts
from .picker import ItemPicker, ItemSelect

MATCHES_ON_PAIR_PAGE = 6
"""Number of matches of a panel, by which it is told whether an object is listed, where no admin says another."""


class PairPage:
    """The page on an object and another one of the same model, both registered or both owners."""

    template = "similar_images/admin_pair.html"

    def __init__(
        self,
        model_admin: Any,
        user_access: ObjectAccess,
        source: ImageSource,
        item: models.Model,
        limit: int = MATCHES_ON_PAIR_PAGE,
    ) -> None:
        """Take the admin that has the page, what the user may see, the source of the images, and an object."""
        self.model_admin = model_admin
        self.access = user_access
        self.request: HttpRequest = user_access.request
        self.source = source
        self.item = item
        self.limit = limit
        self.is_of_owners = source.is_owner(item)
        images, self.owners = user_access.images(source), user_access.owners(source)
        if self.is_of_owners and source.ownership:
            images = source.ownership.with_owners(source.as_filterable(images), self.owners)
        self.images = images

    def respond(self) -> HttpResponse:
        """Answer the request: show the page, mark the pair, or look for objects."""
        picker = ItemPicker(self.access, self.source, self.item)
        if "term" in self.request.GET:
            return picker.respond()
        data = self.request.POST if self.request.method == "POST" else self.request.GET
        form = MarkForm(data if "other" in data else None)
        if picker.can_search:
            form.fields["other"].label = _("Item")
        other = self.access.find(self.source, type(self.item), form.cleaned_data["other"]) if form.is_valid() else None
        if other is None and form.is_bound and form.is_valid():
            form.add_error("other", explain.unknown_object().text)
        if self.request.method == "POST" and other is not None and data.get("alike") in ("1", "0", ""):
            return self._mark(other, form.cleaned_data["alike"])
        if picker.can_search:
            form.fields["other"].widget = ItemSelect(
                picker, pair_page_url(self.model_admin, self.source, self.item), other
            )
        items, following = picker.read_page(data.get("q", ""), data.get("p", "1")) if other is None else ([], None)
        opts = self.item._meta
        context = {
            **self.model_admin.admin_site.each_context(self.request),
            "title": _("Similar images for %(object)s") % {"object": self.item},
            "opts": opts,
            "original": self.item,
            "original_url": self._change_url(self.item),
            "list_url": self._list_url(),
            "field": data.get("field", ""),
            "form": form,
            "media": form.media,
            "other": other,
            "can_search": picker.can_search,
            "term": data.get("q", ""),
            "choices": picker.choices(items),
            "page_number": data.get("p", ""),
            "next_page": following,
            **(self._describe_pair(other) if other is not None else {}),
        }
        self.request.current_app = self.model_admin.admin_site.name
        return TemplateResponse(self.request, self.template, context)

    def _describe_pair(self, other: models.Model) -> dict[str, Any]:
        """Return the part of the page's context that is about both objects."""
        image, other_image = self._nearest_images(other)
        if other_image is None:
            reason = explain.imageless_object()
        else:
            reason = explain.explain_absence(self._search(self.item), other_image, tells_errors=True)
        visitors = explain.why_not(self.item, other, field=self.source.field_name)
        mark = (
            marks.get_mark(self.source, image, other_image) if image is not None and other_image is not None else None
        )
        images = {shown.pk for shown in (image, other_image) if shown is not None and self.source.get_file_name(shown)}
        can_mark = len(images) == 2 and self._can_mark(other)
        pair = [(self.item, image), (other, other_image)]
        return {
            "pair": [
                {
                    "title": str(item),
                    "image": getattr(shown, self.source.field_name) if shown is not None else None,
                    "url": self._change_url(item),
                }
                for item, shown in pair
            ],
            "compare_keys": self._compare_keys([shown for _item, shown in pair if shown is not None]),
            "reason": reason,
            "visitors": explain.invisible_object() if visitors.code == "unknown" else visitors,
            "parts": similarity_parts(reason.scores, reason.distances),
            "mark": mark,
            "marked_on": _date(mark) if mark else "",
            "can_mark": can_mark,
        }

    def _search(self, item: models.Model) -> Search:
        return search_among(
            self.source,
            item,
            self.images,
            self.owners,
            limit=self.limit,
            folds=True,
            min_similarity=min_listed_similarity(),
        )

    def _nearest_images(self, other: models.Model) -> tuple[models.Model | None, models.Model | None]:
        """Return the images of the two objects: of owners, those that are most similar; None where one has none."""
        if not self.is_of_owners:
            return self.item, other
        other_image = explain.nearest_image(self._search(self.item), other)
        return explain.nearest_image(self._search(other_image or other), self.item), other_image

    def _can_mark(self, other: models.Model) -> bool:
        """Return whether the user may change both objects, and all their images."""
        items = [self.item, other]
        return self.access.can_change([*items, *(image for item in items for image in self._images_of(item))])

    def _images_of(self, item: models.Model) -> list[Any]:
        """Return all images of an object that lists may show to the user."""
        ownership = self.source.ownership
        if not self.is_of_owners or ownership is None:
            return [item]
        return list(ownership.images_of(item, self.source.as_filterable(self.images)).order_by("pk"))

    def _compare_keys(self, images: list[Any]) -> list[str]:
        """Return the two images in an address that compares them, empty where the user may not see it."""
        if len(images) < 2 or not access.is_allowed(self.request, "compare"):
            return []
        visible = self.source.as_filterable(self.source.visible_to(self.request))
        pks = {image.pk for image in images}
        is_visible = visible.filter(pk__in=pks).count() == len(pks)
        return [self.source.format_key(image) for image in images] if is_visible else []

    def _mark(self, other: models.Model, is_alike: bool | None) -> HttpResponse:
        """Mark a pair as similar or not, or remove its mark for None, and offer to undo that.

        Of owners, those two images are marked as similar that are; but as not similar, all that would bring one of the
        two back as a match of the other. Either replaces all marks between their images.
        """
        if not self._can_mark(other):
            raise PermissionDenied
        nearest = self._nearest_images(other)
        own, others = self._images_of(self.item), self._images_of(other)
        image, other_image = nearest
        try:
            if image is None or other_image is None:
                raise ValueError(_("Only objects that have an image can be marked."))
            earlier = marks.get_mark(self.source, image, other_image)
            if self.is_of_owners or is_alike is None:
                marks.unmark_between(self.source, own, others)
            if is_alike is not None and not self.is_of_owners:
                marks.mark(image, other_image, alike=is_alike, field=self.source.field_name, user=self.request.user)
            elif is_alike is not None:
                pairs = [(image, other_image)]
                if not is_alike:
                    pairs += [(image, one) for one in others if one.pk != other_image.pk]
                    pairs += [(one, other_image) for one in own if one.pk != image.pk]
                marks.mark_pairs(self.source, pairs, is_alike=is_alike, user=self.request.user)
            self._say(is_alike, other, earlier)
        except ValueError as error:
            messages.error(self.request, str(error))
        return HttpResponseRedirect(self._change_url(self._page_owner()) or self.request.get_full_path())

    def _say(self, is_alike: bool | None, other: models.Model, earlier: Mark | None) -> None:
        """Tell what was done, with a button that undoes it."""
        told = {None: _("Mark removed."), True: _("Marked as similar."), False: _("Marked as not similar.")}[is_alike]
        if (earlier.is_alike if earlier else None) == is_alike:
            messages.success(self.request, told)
            return
        undo = format_html(
            '{} <form class="similar-images-undo" method="post" action="{}">'
            '<input type="hidden" name="csrfmiddlewaretoken" value="{}">'
            '<input type="hidden" name="other" value="{}">'
            '<button name="alike" value="{}">{}</button></form>',
            told,
            pair_page_url(self.model_admin, self.source, self.item),
            get_token(self.request),
            other.pk,
            {None: "", True: "1", False: "0"}[earlier.is_alike if earlier else None],
            _("Undo"),
        )
        messages.success(self.request, undo)

    def _page_owner(self) -> models.Model:
        """Return the object whose page shows the panel: an owner, where its images have no pages of their own."""
        return self.item if self._change_url(self.item) else self.source.owner_of(self.item)

    def _change_url(self, item: models.Model) -> str:
        return admin_page_url(self.model_admin, item._meta, "change", item.pk)

    def _list_url(self) -> str:
        return admin_page_url(self.model_admin, self.item._meta, "changelist")


def _date(mark: Mark) -> str:
    """Return the day of a mark, written as in reasons."""
    moment = localtime(mark.marked_at) if is_aware(mark.marked_at) else mark.marked_at
    return date_format(moment, "DATE_FORMAT")
