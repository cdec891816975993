"""The admin of marks: to look at, and to remove."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ..models import Mark
from .links import object_link
from .viewable_objects import viewable_records


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

    list_display = ["__str__", "first", "second", "is_alike", "marked_by", "marked_at"]
    list_filter = ["is_alike", "source", ("marked_by", EditorFilter), "marked_at"]
    list_select_related = ["source"]
    search_fields = ["=first_id", "=second_id"]
    ordering = ["-marked_at"]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Mark]:
        """Return the marks of two objects that the user may both look at in the admin.

        Editors are not joined, but fetched by a query of their own, as they may be in another database.
        """
        condition = models.Q(pk__in=[])
        for source, records in viewable_records(self, request):
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

    @admin.display(description=_("first object"), ordering="first_id")
    def first(self, mark: Mark) -> SafeString | str:
        """Return a link to the first object."""
        return object_link(self, mark.source, mark.first_id)

    @admin.display(description=_("second object"), ordering="second_id")
    def second(self, mark: Mark) -> SafeString | str:
        """Return a link to the second object."""
        return object_link(self, mark.source, mark.second_id)
