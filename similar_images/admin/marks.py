"""The admin of marks: to look at, and to remove."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .. import registry
from ..models import Mark
from .object_access import ObjectAccess
from .page_sources import find_source_by_key
from .pair import PairPage
from .records import SourceFilter, format_source
from .viewable_objects import ListedObject, NamedRow, load_listed_objects, viewable_records


class EditorFilter(admin.RelatedFieldListFilter):
    """Filter by those users who have marked something, who may be in another database than the marks."""

    def field_choices(
        self, field: Any, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, Any]]:
        """Return the key and the name of each editor."""
        marks = model_admin.get_queryset(request).order_by()
        editors = list(marks.values_list("marked_by_id", flat=True).distinct())
        ordering = self.field_admin_ordering(field, request, model_admin)
        choices: list[tuple[str, Any]] = field.get_choices(
            include_blank=False, ordering=ordering, limit_choices_to={"pk__in": editors}
        )
        return choices


@admin.register(Mark)
class MarkAdmin(admin.ModelAdmin):
    """List the verdicts of editors; deleting one removes the mark."""

    list_display = ["is_alike", "first", "second", "source_name", "marked_by", "marked_at"]
    list_filter = ["is_alike", ("source", SourceFilter), ("marked_by", EditorFilter), "marked_at"]
    list_select_related = ["source"]
    search_fields = ["=first_id", "=second_id"]
    ordering = ["-marked_at"]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Mark]:
        """Return the marks of two objects that the user may both look at in the admin.

        Editors are not joined, but fetched by a query of their own, as they may be in another database.
        """
        condition = models.Q(pk__in=[])
        for source, records in viewable_records(ObjectAccess(self.admin_site, request)):
            ids = None if records is None else records.values("object_id")
            own = {} if ids is None else {"first_id__in": ids, "second_id__in": ids}
            condition |= models.Q(source=source, **own)
        return super().get_queryset(request).filter(condition).prefetch_related("marked_by")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: marks are made on the page of two objects, which checks that they belong together."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Mark | None = None) -> bool:
        """Return False: a new verdict replaces the old mark."""
        return False

    def get_urls(self) -> list[Any]:
        """Return the usual addresses, after that of the page on a pair of objects whose model has none of its own."""
        view = self.admin_site.admin_view(self.pair_view)
        return [path("pair/<path:item>/", view, name="similar_images_mark_pair"), *super().get_urls()]

    def pair_view(self, request: HttpRequest, item: str) -> HttpResponse:
        """Explain and mark two objects of a model.

        Args:
            request: the user's request.
            item: one of them: "app.model:pk".
        """
        label, _colon, pk = unquote(item).partition(":")
        try:
            model = registry.get_model(label)
        except registry.NotRegistered:
            raise Http404 from None
        source = find_source_by_key(model, request.POST.get("field") or request.GET.get("field", ""))
        user_access = ObjectAccess(self.admin_site, request)
        obj = user_access.find(source, model, pk) if source else None
        if source is None or obj is None:
            raise Http404
        return PairPage(self, user_access, source, obj).respond()

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, whose marks know their objects."""
        changelist = super().get_changelist_instance(request)
        marks = list(changelist.result_list)
        references = [(mark.source, pk) for mark in marks for pk in (mark.first_id, mark.second_id)]
        listed = load_listed_objects(ObjectAccess(self.admin_site, request), self, references)
        for mark in marks:
            mark.__dict__["_listed"] = [listed[mark.source.pk, pk] for pk in (mark.first_id, mark.second_id)]
        changelist.result_list = marks
        return changelist

    def action_checkbox(self, mark: Mark) -> SafeString:
        """Return the checkbox of a mark, labeled with both objects and their field."""
        first, second = (listed.title for listed in mark.__dict__["_listed"])
        return super().action_checkbox(NamedRow(mark.pk, f"{first}, {second}, {format_source(mark.source)}"))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return what the page that asks before marks are deleted lists: their objects and verdicts, in words."""
        _names, counts, missing, protected = super().get_deleted_objects(objs, request)
        return self._describe_marks(request, objs), counts, missing, protected

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Ask before a mark is deleted, with its objects in words."""
        mark = self.get_object(request, unquote(object_id))
        named = {"object": NamedRow(mark.pk, self._describe_marks(request, [mark])[0])} if mark is not None else {}
        return super().delete_view(request, object_id, {**named, **(extra_context or {})})

    def _describe_marks(self, request: HttpRequest, marks: Iterable[Mark]) -> list[str]:
        marks = list(marks)
        references = [(mark.source, pk) for mark in marks for pk in (mark.first_id, mark.second_id)]
        listed = load_listed_objects(ObjectAccess(self.admin_site, request), self, references)
        texts = {
            True: gettext("%(first)s and %(second)s are similar"),
            False: gettext("%(first)s and %(second)s are not similar"),
        }
        return [
            texts[mark.is_alike]
            % {
                "first": listed[mark.source.pk, mark.first_id].title,
                "second": listed[mark.source.pk, mark.second_id].title,
            }
            for mark in marks
        ]

    @admin.display(description=_("source"), ordering="source")
    def source_name(self, mark: Mark) -> str:
        """Return the image field in words."""
        return format_source(mark.source)

    @admin.display(description=_("first object"), ordering="first_id")
    def first(self, mark: Mark) -> SafeString:
        """Return the image of the first object, and a link to it."""
        return _describe_object(mark, 0)

    @admin.display(description=_("second object"), ordering="second_id")
    def second(self, mark: Mark) -> SafeString:
        """Return the image of the second object, and a link to it."""
        return _describe_object(mark, 1)


def _describe_object(mark: Mark, index: int) -> SafeString:
    listed: ListedObject = mark.__dict__["_listed"][index]
    return format_html("{} {}", listed.as_image(), listed.as_link())
