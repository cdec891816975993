"""Similar items in forms: of an object on its change page, and of each row of an inline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.options import InlineModelAdmin
from django.db import models
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from .object_access import ObjectAccess
from .page_sources import sources_of
from .panel import PanelBuilder

if TYPE_CHECKING:
    MixinBase = admin.ModelAdmin[Any]
else:
    MixinBase = object

PANEL = "similar_images"
"""Name of the read-only field that shows the panel."""

ROWS_AT_A_TIME = 50
"""Rows of an inline whose similar items are searched for together."""


class ChangeFormMixin(MixinBase):
    """Show similar items on change pages, or in an inline beside each of its rows."""

    similar_images_limit = 6
    """Number of matches of an image."""
    similar_images_template = "similar_images/admin_panel.html"
    """Template of the panel."""

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        """Return the host's fields and, where an object exists, the panel."""
        fields = super().get_readonly_fields(request, obj)
        if obj is None or not sources_of(self.model):
            return fields
        # The panel is a field, which gets no request. An inline is made for each request, an admin is not.
        holder = self if isinstance(self, InlineModelAdmin) else obj
        holder.__dict__["_similar_images_request"] = request
        return (*fields, PANEL)

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        """Return the host's fieldsets and, where an object exists, the panel: on a page, in one of its own."""
        fieldsets = [
            (name, options | {"fields": [field for field in options["fields"] if field != PANEL]})
            for name, options in super().get_fieldsets(request, obj)
        ]
        if obj is None or not sources_of(self.model):
            return fieldsets
        if isinstance(self, InlineModelAdmin) and fieldsets:
            *others, (name, options) = fieldsets
            return [*others, (name, options | {"fields": [*options["fields"], PANEL]})]
        return [*fieldsets, (_("Similar images"), {"fields": [PANEL]})]

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Return the host's class of formsets, of which the inline remembers the one of its page."""
        inline = self

        class RememberedFormSet(super().get_formset(request, obj, **kwargs)):  # type: ignore[misc]  # its base is whatever class the host returns
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                inline.__dict__["_similar_images_formset"] = self

        return RememberedFormSet

    @admin.display(description=_("Similar items"))
    def similar_images(self, obj: models.Model) -> SafeString | str:
        """Render the panel: the matches of every image field of the object, and of the images that it owns."""
        if isinstance(self, InlineModelAdmin):
            return self._similar_images_of_row(obj)
        request = obj.__dict__.get("_similar_images_request")
        if request is None:  # a list, or another page that is none of an object
            return ""
        builder = self._similar_images_builder(request, self, *self.get_inline_instances(request, obj))
        return builder.render(self.similar_images_template, builder.build([obj])[0])

    def _similar_images_of_row(self, obj: models.Model) -> SafeString | str:
        """Render the panel of a row of an inline; those of the rows after it are made ready with it."""
        request, formset = (self.__dict__.get(f"_similar_images_{name}") for name in ("request", "formset"))
        if request is None or formset is None or obj._state.adding:
            return ""
        entries: dict[Any, Any] = self.__dict__.setdefault("_similar_images_entries", {})
        builder = self._similar_images_builder(request, self)
        if obj.pk not in entries:
            rows: Sequence[models.Model] = [form.instance for form in formset.initial_forms]
            start = next((index for index, row in enumerate(rows) if row.pk == obj.pk), len(rows))
            together = rows[start : start + ROWS_AT_A_TIME] or [obj]
            entries |= {row.pk: found for row, found in zip(together, builder.build(together), strict=True)}
        is_compact = isinstance(self, admin.TabularInline)
        return builder.render(self.similar_images_template, entries[obj.pk], is_compact=is_compact)

    def _similar_images_builder(self, request: HttpRequest, *admins: Any) -> PanelBuilder:
        return PanelBuilder(self, ObjectAccess(self.admin_site, request, *admins), self.similar_images_limit)
