"""The panel with similar items of an object: of a registered one, or of the owner of some."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.admin import ModelAdmin
from django.db import models
from django.db.models import Exists, OuterRef
from django.template.loader import render_to_string
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from .. import access, conf, plugins
from ..models import IndexedImage, MethodVersion, Signature
from ..search.batch import images_of_each, similar_among_each
from ..search.matches import Explanation, Match
from ..sources.source import ImageSource
from ..stored_labels import StoredLabel, labels_of_records
from .changelist import SIMILAR_TO, ChangelistMixin
from .links import admin_page_url, pair_page_url
from .object_access import ObjectAccess
from .page_sources import min_listed_similarity, sources_of


@dataclass(frozen=True)
class PanelRow:
    """A match in the panel.

    Attributes:
        match: the match.
        title: the object in words: the owner of its image, where the user may see it.
        url: its change page, empty where it has none; of a match of an image, the page of that image.
        owner_url: the change page of the owner, where another page is linked to.
        owner_label: the kind of the owner.
        pair_url: the page that explains and marks the two.
        key: the image in an address that compares it; empty where the user may not.
        parts: similarity by method.
        near_duplicates: the items that it stands for.
    """

    match: Match
    title: str
    url: str
    owner_url: str
    owner_label: str
    pair_url: str
    key: str
    parts: Sequence[Mapping[str, Any]]
    near_duplicates: Sequence[PanelRow] = ()


@dataclass(frozen=True)
class PanelEntry:
    """The similar items of one object in one source.

    Attributes:
        title: the image field in words; of the owner of images, the images.
        is_of_owner: whether the object is the owner of the images.
        status: that of the best of its images, or "missing".
        error: why an image could not be processed.
        record_url: the record of that image, on whose page the user may have it processed again.
        key: the image in an address that compares it; empty where the user may not, or there are several.
        pair_url: the page that explains why another item is missing.
        list_url: the list of all similar items, where there is one.
        labels: what its image is likely to show, where labels are kept and it has one image.
        is_plain: whether its images have too little detail for a method that looks for it.
        min_similarity: similarity in percent that the matches have at least.
        rows: the matches, best first.
    """

    title: str
    is_of_owner: bool
    status: str
    error: str
    record_url: str
    key: str
    pair_url: str
    list_url: str
    is_plain: bool
    min_similarity: float
    rows: Sequence[PanelRow] = field(default_factory=list)
    labels: Sequence[StoredLabel] = ()


class PanelBuilder:
    """The panels of several objects of one model, in as many queries as one."""

    def __init__(self, model_admin: Any, user_access: ObjectAccess, limit: int) -> None:
        """Take the admin or inline that shows the panels, what the user may see, and the number of matches."""
        self.model_admin = model_admin
        self.access = user_access
        self.request = user_access.request
        self.limit = limit

    def render(self, template: str, entries: Sequence[PanelEntry], *, is_compact: bool = False) -> SafeString:
        """Return a panel as HTML; a compact one, for a row of a table, shows its matches when it is opened."""
        return render_to_string(template, {"sources": entries, "is_compact": is_compact}, self.request)

    def build(self, items: Sequence[models.Model]) -> list[list[PanelEntry]]:
        """Return the entries of each object, one for every source."""
        if not items:
            return []
        by_source = [self._build_of_source(source, items) for source in sources_of(type(items[0]))]
        return [_without_empty_galleries(entries) for entries in zip(*by_source, strict=True)] or [
            [] for _item in items
        ]

    def _build_of_source(self, source: ImageSource, items: Sequence[models.Model]) -> list[PanelEntry]:
        is_of_owners = source.is_owner(items[0])
        images, owners = self.access.images(source), self.access.owners(source)
        if is_of_owners and source.ownership:
            images = source.ownership.with_owners(source.as_filterable(images), owners)
        own = images_of_each(source, items, images)
        found = similar_among_each(
            source, items, images, owners, limit=self.limit, min_similarity=min_listed_similarity()
        )
        found_images = [one for matches in found for match in matches for one in (match, *match.near_duplicates)]
        keys = self._comparable(source, [image for group in own for image in group], found_images)
        statuses = IndexedImage.primary.get_freshness_of_each(source, [[image.pk for image in group] for group in own])
        failures = self._failures(source, own, [status for status, _moment in statuses])
        labels = self._labels(source, [group[0] for group in own if len(group) == 1])
        plain = self._plain_images(source, [image for group in own for image in group])
        entries = []
        for item, group, matches, (status, _moment), failure in zip(items, own, found, statuses, failures, strict=True):
            entries.append(
                PanelEntry(
                    title=str(
                        capfirst(source.model._meta.verbose_name_plural if is_of_owners else source.field.verbose_name)
                    ),
                    is_of_owner=is_of_owners,
                    status=status,
                    error=failure.error if failure else "",
                    record_url=self._record_url(failure),
                    key=keys.get(group[0].pk, "") if len(group) == 1 else "",
                    pair_url=pair_page_url(self.model_admin, source, item),
                    list_url=self._list_url(item) if matches else "",
                    is_plain=bool(group) and all(source.object_id(image.pk) in plain for image in group),
                    min_similarity=min_listed_similarity(),
                    rows=list(self._rows(source, item, matches, keys)),
                    labels=labels.get(source.object_id(group[0].pk), []) if len(group) == 1 else [],
                )
            )
        return entries

    def _rows(
        self, source: ImageSource, item: models.Model, matches: Iterable[Match], keys: Mapping[Any, str]
    ) -> Iterator[PanelRow]:
        """Yield the rows of those matches that the user may see."""
        is_of_owners = source.is_owner(item)
        for match in matches:
            image, owner = match.image_object, match.object
            if not self.access.can_view_image(image, owner):
                continue
            is_owner_shown = owner is not image and self.access.can_view(owner)
            if is_of_owners and not is_owner_shown:
                continue
            image_url = "" if is_of_owners else self._change_url(image)
            owner_url = self._change_url(owner) if is_owner_shown else ""
            has_title = is_owner_shown or source.ownership is None
            other = owner if is_of_owners else image
            yield PanelRow(
                match=match,
                title=match.title if has_title else str(image),
                url=image_url or owner_url,
                owner_url=owner_url if image_url else "",
                owner_label=capfirst(owner._meta.verbose_name) if is_owner_shown else "",
                pair_url=pair_page_url(self.model_admin, source, item, other),
                key=keys.get(image.pk, ""),
                parts=similarity_parts(match.scores, match.distances, match.explanation),
                near_duplicates=list(self._rows(source, item, match.near_duplicates, keys)),
            )

    def _comparable(self, source: ImageSource, own: Iterable[models.Model], matches: Sequence[Match]) -> dict[Any, str]:
        """Return the keys of those images that the page which compares two shows, which goes by `visible`."""
        if not matches or not access.is_allowed(self.request, "compare"):
            return {}
        images = {image.pk: image for image in (*own, *(match.image_object for match in matches))}
        visible = source.as_filterable(source.visible_to(self.request)).filter(pk__in=list(images))
        return {pk: source.format_key(images[pk]) for pk in visible.values_list("pk", flat=True)}

    def _plain_images(self, source: ImageSource, images: Sequence[models.Model]) -> set[str]:
        """Return the ids of those objects whose image has too little detail for a method that looks for it."""
        ids = [source.object_id(image.pk) for image in images]
        active = MethodVersion.primary.filter(
            source=OuterRef("source"), name=OuterRef("method"), version=OuterRef("version"), is_active=True
        )
        records = IndexedImage.primary.for_source(source).filter(object_id__in=ids)
        in_use = Exists(active.filter(name__in=plugins.enabled_methods()))
        plain = Signature.primary.filter(in_use, record__in=records, low_detail=True)
        return set(plain.values_list("record__object_id", flat=True)) if ids else set()

    def _labels(self, source: ImageSource, images: Sequence[models.Model]) -> dict[str, list[StoredLabel]]:
        """Return what images are likely to show, by the ids of the objects."""
        if not (images and conf.get().store_labels):
            return {}
        ids = [source.object_id(image.pk) for image in images]
        records = {record.pk: record for record in IndexedImage.objects.for_source(source).filter(object_id__in=ids)}
        found = labels_of_records(records.values())
        return {records[pk].object_id: [label for label in kept if label.is_likely] for pk, kept in found.items()}

    def _failures(
        self, source: ImageSource, own: Sequence[Sequence[models.Model]], statuses: Sequence[str]
    ) -> list[IndexedImage | None]:
        """Return a failed record for each object that has no better one."""
        ids = [
            [source.object_id(image.pk) for image in group] if status == IndexedImage.Status.FAILED else []
            for group, status in zip(own, statuses, strict=True)
        ]
        wanted = [object_id for group in ids for object_id in group]
        if not wanted:
            return [None] * len(ids)
        records = IndexedImage.primary.for_source(source).filter(object_id__in=wanted)
        failed = {record.object_id: record for record in records.filter(status=IndexedImage.Status.FAILED)}
        return [next((failed[object_id] for object_id in group if object_id in failed), None) for group in ids]

    def _record_url(self, record: IndexedImage | None) -> str:
        site = self.access.site
        if record is None or not site.is_registered(IndexedImage):
            return ""
        can_retry = site.get_model_admin(IndexedImage).has_change_permission(self.request)
        return admin_page_url(self.model_admin, IndexedImage._meta, "change", record.pk) if can_retry else ""

    def _change_url(self, item: models.Model) -> str:
        return admin_page_url(self.model_admin, item._meta, "change", item.pk)

    def _list_url(self, item: models.Model) -> str:
        url = admin_page_url(self.model_admin, item._meta, "changelist")
        has_filter = isinstance(self.model_admin, ChangelistMixin) and isinstance(self.model_admin, ModelAdmin)
        return f"{url}?{urlencode({SIMILAR_TO: str(item.pk)})}" if url and has_filter else ""


def _without_empty_galleries(entries: Sequence[PanelEntry]) -> list[PanelEntry]:
    """Return the entries without those of an owner that has no image there, if it has one elsewhere."""
    return [entry for entry in entries if entry.status != "missing" or not entry.is_of_owner] or [*entries[:1]]


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
