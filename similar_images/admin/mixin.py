"""Similar items on the change page of a host's model, and the page that marks a pair and explains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from .. import access, marks, plugins, registry
from ..forms.mark import MarkForm
from ..models import IndexedImage
from ..search import explain
from ..search.matches import Explanation, search_among, similar_among
from ..sources import ImageSource
from .links import admin_page_url

if TYPE_CHECKING:
    MixinBase = admin.ModelAdmin[Any]
else:
    MixinBase = object


class SimilarImagesMixin(MixinBase):
    """Mix into a ModelAdmin, first: the change page then ends with similar items.

    Shown are those that the model's admin itself lists, whatever the source's `visible` says.
    """

    similar_images_limit = 6
    """Number of matches on the change page."""
    similar_images_template = "similar_images/admin_panel.html"
    """Template of the panel on the change page."""

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        """Return the host's fields and, of an object that exists, the panel."""
        fields = super().get_readonly_fields(request, obj)
        return (*fields, "similar_images") if obj else fields

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        """Return the host's fieldsets and, of an object that exists, one with the panel at the end."""
        fieldsets = [
            (name, options | {"fields": [field for field in options["fields"] if field != "similar_images"]})
            for name, options in super().get_fieldsets(request, obj)
        ]
        return [*fieldsets, (_("Similar images"), {"fields": ["similar_images"]})] if obj else fieldsets

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> models.Model | None:
        """Return the object, with the request on it: the panel is a field, which gets no request."""
        obj: models.Model | None = super().get_object(request, *args, **kwargs)
        if obj is not None:
            obj.__dict__["_similar_images_request"] = request
        return obj

    @admin.display(description=_("Similar items"))
    def similar_images(self, obj: models.Model) -> SafeString:
        """Render the panel: the matches of every image field of the object."""
        request = obj.__dict__["_similar_images_request"]
        sources = [
            self._similar_images_entry(source, obj, request) for source in registry.get_sources_for_model(type(obj))
        ]
        return render_to_string(self.similar_images_template, {"sources": sources}, request)

    def _similar_images_entry(self, source: ImageSource, obj: models.Model, request: HttpRequest) -> dict[str, Any]:
        """Return what the panel shows of one image field."""
        matches = [
            match
            for match in similar_among(
                source, obj, self.get_queryset(request), request, limit=self.similar_images_limit
            )
            if self.has_view_or_change_permission(request, match.image_object)
        ]
        # The page that compares two images goes by `visible`, which may hide some that the admin lists.
        visible = source.as_filterable(source.visible_to(request))
        candidates = [obj.pk, *(match.image_object.pk for match in matches)]
        can_compare = bool(matches) and access.is_allowed(request, "compare")
        comparable = set(visible.filter(pk__in=candidates).values_list("pk", flat=True)) if can_compare else set()
        return {
            "source": source,
            "key": source.format_key(obj) if obj.pk in comparable else "",
            "status": IndexedImage.primary.get_status(source, obj.pk),
            "pair_url": self._similar_images_pair_url(source, obj),
            "matches": [
                {
                    "match": match,
                    "url": admin_page_url(self, match.object._meta, "change", match.object.pk),
                    "pair_url": self._similar_images_pair_url(source, obj, match.image_object),
                    "key": match.key if match.image_object.pk in comparable else "",
                    "parts": similarity_parts(match.scores, match.distances, match.explanation),
                }
                for match in matches
            ],
        }

    def get_urls(self) -> list[Any]:
        """Return the host's URL patterns, after that of the page on a pair."""
        view = self.admin_site.admin_view(self.similar_images_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_similar_images"
        return [path("<path:object_id>/similar-images/", view, name=name), *super().get_urls()]

    def similar_images_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Explain why another object is a match or not, and mark the pair as similar or not."""
        obj = self._similar_images_object(request, unquote(object_id))
        if not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        data = request.POST if request.method == "POST" else request.GET
        try:
            source = registry.get_source(type(obj), data.get("field") or None) if obj else None
        except (registry.NotRegistered, registry.AmbiguousField):
            source = None
        if obj is None or source is None:
            raise Http404
        form = MarkForm(data if "other" in data else None)
        other = self._similar_images_object(request, form.cleaned_data["other"]) if form.is_valid() else None
        if other is None and form.is_bound and form.is_valid():
            form.add_error("other", explain.unknown_object().text)
        can_mark = other is not None and all(self.has_change_permission(request, item) for item in (obj, other))
        if request.method == "POST" and other is not None:
            if not can_mark:
                raise PermissionDenied
            return self._similar_images_mark(request, source, (obj, other), form.cleaned_data["alike"])
        context = {
            **self.admin_site.each_context(request),
            "title": _("Similar images for %(object)s") % {"object": obj},
            "opts": self.opts,
            "original": obj,
            "source": source,
            "form": form,
            "other": other,
            "can_mark": can_mark,
            **(self._similar_images_pair(request, source, obj, other) if other is not None else {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "similar_images/admin_pair.html", context)

    def _similar_images_object(self, request: HttpRequest, object_id: str) -> models.Model | None:
        """Return an object that the user may view, None if there is none."""
        obj = self.get_object(request, object_id)
        return obj if obj is not None and self.has_view_or_change_permission(request, obj) else None

    def _similar_images_pair(
        self, request: HttpRequest, source: ImageSource, obj: models.Model, other: models.Model
    ) -> dict[str, Any]:
        """Return the part of the page's context that is about both objects."""
        search = search_among(source, obj, self.get_queryset(request), request, limit=self.similar_images_limit)
        reason = explain.explain_absence(search, other, tells_errors=True)
        visitors = explain.why_not(obj, other, field=source.field_name)
        return {
            "pair": [
                {
                    "title": item,
                    "image": getattr(item, source.field_name),
                    "url": admin_page_url(self, item._meta, "change", item.pk),
                }
                for item in (obj, other)
            ],
            "reason": reason,
            "visitors": explain.invisible_object() if visitors.code == "unknown" else visitors,
            "parts": similarity_parts(reason.scores, reason.distances),
            "mark": marks.get_mark(source, obj, other),
        }

    def _similar_images_mark(
        self,
        request: HttpRequest,
        source: ImageSource,
        pair: tuple[models.Model, models.Model],
        is_alike: bool | None,
    ) -> HttpResponse:
        """Mark a pair as similar or not, or remove its mark for None; redirect to the change page."""
        try:
            if is_alike is None:
                marks.unmark(*pair, field=source.field_name)
                self.message_user(request, _("Mark removed."))
            else:
                marks.mark(*pair, alike=is_alike, field=source.field_name, user=request.user)
                self.message_user(request, _("Marked as similar.") if is_alike else _("Marked as not similar."))
        except ValueError as error:
            self.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(admin_page_url(self, self.opts, "change", pair[0].pk) or request.path)

    def _similar_images_pair_url(
        self, source: ImageSource, obj: models.Model, other: models.Model | None = None
    ) -> str:
        url = admin_page_url(self, self.opts, "similar_images", obj.pk)
        query = {"field": source.field_name} | ({"other": str(other.pk)} if other is not None else {})
        return f"{url}?{urlencode(query)}" if url else ""


def similarity_parts(
    scores: dict[str, float], distances: dict[str, float], explanation: Explanation | None = None
) -> list[dict[str, Any]]:
    """Return a row for every method that compared two images.

    Args:
        scores: similarity in percent by method.
        distances: distance by method, in the unit of its metric.
        explanation: weights, and the methods that found the match; none where the pair is no match.
    """
    methods = plugins.enabled_methods()
    return [
        {
            "name": name,
            "title": (methods[name].title if name in methods else "") or name,
            "score": score,
            "distance": distances[name],
            "weight": explanation.weights[name] if explanation else None,
            "found": explanation is not None and name in explanation.found_by,
        }
        for name, score in scores.items()
    ]
