"""Labels that are kept of stored images, where SIMILAR_IMAGES["STORE_LABELS"] is on: read for people, and searched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, FloatField, Q, QuerySet, Value, When
from django.utils.translation import gettext
from pgvector import SparseVector
from pgvector.django import MaxInnerProduct

from . import conf
from .indexing import versions
from .models import IndexedImage, MethodVersion, Signature
from .signatures import storage
from .signatures.label_method import LabelMethod

MIN_LABEL_SCORE = 0.2
"""Probability from which on an image counts as showing something.

Chosen on 150 photos of the classes of ImageNet, where precision and recall are best together: of the labels above it
85% are right, and 94% of the photos have their own. On 150 others, 80% and 86%.
"""


@dataclass(frozen=True)
class StoredLabel:
    """The name of a class, translated where the site has a translation, and its probability, 0 to 1."""

    name: str
    score: float

    @property
    def percent(self) -> float:
        """The probability in percent."""
        return 100 * self.score

    @property
    def is_likely(self) -> bool:
        """Tell whether the image counts as showing it."""
        return self.score >= MIN_LABEL_SCORE


def active_label_versions(rows: QuerySet[MethodVersion] | None = None) -> list[tuple[MethodVersion, LabelMethod]]:
    """Return the versions of labels in use, one for each source that has some, with their methods.

    A source has those of the former classifier until the new one has described all its images; none where labels are
    not kept, or the classifier can't be instantiated.
    """
    if not conf.get().store_labels:
        return []
    rows = MethodVersion.objects.all() if rows is None else rows
    found = ((row, versions.instantiate(row)) for row in rows.filter(name=LabelMethod.name, is_active=True))
    return [(row, method) for row, method in found if isinstance(method, LabelMethod)]


def labels_of_records(records: Iterable[IndexedImage], using: str | None = None) -> dict[int, list[StoredLabel]]:
    """Return the labels of records by their ids, most probable first, in two queries; none where they are not kept.

    Args:
        records: the records.
        using: alias of the database to read from; by default, where a router sends reads.
    """
    by_source: dict[int, list[int]] = {}
    for record in records:
        by_source.setdefault(record.source_id, []).append(record.pk)
    in_use = active_label_versions(MethodVersion.objects.using(using).filter(source__in=by_source))
    if not in_use:
        return {}
    names = {row.source_id: translated_names(method) for row, method in in_use}
    wanted = Q()
    for row, _method in in_use:
        wanted |= Q(record__in=by_source[row.source_id], source=row.source_id, version=row.version)
    rows = Signature.objects.using(using).filter(wanted, method=LabelMethod.name)
    return {
        record_id: [
            StoredLabel(names[source_id][index], score)
            for index, score in sorted(storage.unpack(value).items(), key=lambda item: -item[1])
        ]
        for record_id, source_id, value in rows.values_list("record_id", "source_id", "sparse")
    }


def translated_names(method: LabelMethod) -> list[str]:
    """Return the names of a method's classes in the current language, as far as the site translates them."""
    return [gettext(str(name)) for name in method.label_names]


def match_names(text: str, names: Sequence[str]) -> list[int]:
    """Return the indexes of names: those that are a text, or else those that have its words, or else that contain it.

    Case does not count: "Cat" finds "Egyptian cat", and no caterpillar.
    """
    words = re.escape(text.strip())
    for pattern in (rf"{words}", rf".*\b{words}\b.*", rf".*{words}.*"):
        found = [index for index, name in enumerate(names) if words and re.fullmatch(pattern, name, re.IGNORECASE)]
        if found:
            return found
    return []


def records_showing(text: str) -> QuerySet[Any, Any] | None:
    """Return the ids of the records whose image shows what a text names, for a subquery; None where no class does.

    An image counts by the probability of all the classes together that the text names.
    """
    cases: list[When] = []
    searched = Q()
    in_use = active_label_versions()
    for version, method in {row.version: method for row, method in in_use}.items():
        english = [str(name) for name in method.label_names]
        found = {*match_names(text, translated_names(method)), *match_names(text, english)}
        if found:
            sources = [row.source_id for row, _method in in_use if row.version == version]
            of_version = Q(source__in=sources, method=LabelMethod.name, version=version)
            wanted = SparseVector(dict.fromkeys(sorted(found), 1.0), method.dimensions)
            # Only signatures of this very version have as many dimensions: by another order of conditions, it fails.
            cases.append(When(of_version, then=-MaxInnerProduct("sparse", wanted)))
            searched |= of_version
    if not cases:
        return None
    score = Case(*cases, default=Value(0.0), output_field=FloatField())
    return Signature.objects.filter(searched).alias(score=score).filter(score__gte=MIN_LABEL_SCORE).values("record_id")
