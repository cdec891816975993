"""Labels in the list of image records: a column, a filter by what images show, and a search by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .. import conf
from ..models import IndexedImage
from ..stored_labels import StoredLabel, labels_of_records, records_showing
from .links import admin_page_url

if TYPE_CHECKING:
    LabelsMixinBase = admin.ModelAdmin[Any]
else:
    LabelsMixinBase = object

LABEL = "label"
"""Parameter of the list: a text that names what the listed images show."""

SAMPLED_RECORDS = 500
"""Newest records whose labels are counted, to offer the most frequent ones."""

OFFERED_LABELS = 20
"""Labels that are offered as choices; any other text may stand in the address."""


class LabelFilter(admin.SimpleListFilter):
    """Filter by what images show: by a frequent label, or by the one that a link names."""

    title = _("what it shows")
    parameter_name = LABEL

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the most frequent labels of the newest records, and the one that the list is filtered by."""
        newest = model_admin.get_queryset(request).order_by("-requested_at")[:SAMPLED_RECORDS]
        counts = Counter(
            label.name for labels in labels_of_records(newest).values() for label in labels if label.is_likely
        )
        names = sorted(name for name, _count in counts.most_common(OFFERED_LABELS))
        chosen = self.value()
        return [(name, name) for name in dict.fromkeys([*names, *([chosen] if chosen else [])])]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return the records whose image shows it: none where no label has such a name."""
        text = self.value()
        if not text:
            return queryset
        found = records_showing(text)
        return queryset.none() if found is None else queryset.filter(pk__in=found)


class LabelsMixin(LabelsMixinBase):
    """Show what images show, and find them by it, where SIMILAR_IMAGES["STORE_LABELS"] is on."""

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns, with that of labels."""
        columns = super().get_list_display(request)
        return [*columns[:2], "labels", *columns[2:]] if conf.get().store_labels else columns

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Return the filters, with that by labels."""
        return [*super().get_list_filter(request), *([LabelFilter] if conf.get().store_labels else [])]

    def get_readonly_fields(self, request: HttpRequest, obj: IndexedImage | None = None) -> Any:
        """Return the fields of a record, with its labels."""
        return [*super().get_readonly_fields(request, obj), *(["all_labels"] if conf.get().store_labels else [])]

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[IndexedImage], search_term: str
    ) -> tuple[models.QuerySet[IndexedImage], bool]:
        """Return what is found by the texts of records, and what shows what is searched for."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        shown = records_showing(search_term) if search_term else None
        return (found if shown is None else found | queryset.filter(pk__in=shown)), may_repeat

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, whose records know their labels."""
        changelist = super().get_changelist_instance(request)
        changelist.result_list = self._with_labels(changelist.result_list)
        return changelist

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> IndexedImage | None:
        """Return a record, which knows its labels."""
        record = super().get_object(request, object_id, from_field)
        return self._with_labels([record])[0] if record is not None else None

    def _with_labels(self, records: Iterable[IndexedImage]) -> list[IndexedImage]:
        records = list(records)
        found = labels_of_records(records)
        for record in records:
            record.__dict__["_labels"] = found.get(record.pk, [])
        return records

    @admin.display(description=_("shows"))
    def labels(self, record: IndexedImage) -> SafeString:
        """Return what the image is likely to show, each with a link to all that show it."""
        return self._format_labels([label for label in record.__dict__["_labels"] if label.is_likely])

    @admin.display(description=_("shows"))
    def all_labels(self, record: IndexedImage) -> SafeString:
        """Return all labels of the image, the unlikely ones, too."""
        return self._format_labels(record.__dict__["_labels"])

    def _format_labels(self, labels: Sequence[StoredLabel]) -> SafeString:
        url = admin_page_url(self, self.opts, "changelist")
        links = (
            (format_html('<a href="{}?{}">{}</a>', url, urlencode({LABEL: label.name}), label.name), percent_of(label))
            for label in labels
        )
        return format_html_join(", ", "{} ({})", links)


def percent_of(label: StoredLabel) -> str:
    """Return how probable a label is, in percent."""
    return gettext("%(percent)s%%") % {"percent": number_format(round(label.percent))}
