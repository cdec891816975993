"""The copies in a source, in groups, and the series in it: found by stored signatures, proven on the pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from django.db.models import Count, Min
from django.template.loader import render_to_string
from django.utils import timezone

from .. import marks
from ..imaging import decode
from ..imaging.threads import map_in_threads
from ..indexing import versions
from ..measures.geometry.registration import Registration, register
from ..models import IndexedImage, IndexedImageQuerySet, Signature
from ..registry import ImageSource
from ..search import candidates, query_vectors
from ..search.rerank import copies
from ..signatures.base import MethodSpec
from . import report
from .collection import ScannedImage, StoredImage, split_exact_duplicates
from .verification import ImageCache, VerifiedPair, connected_components, exact_duplicate_pairs

MIN_CANDIDATE_SIMILARITY = 50.0
"""Percent by any method from which on two pictures are compared."""

MAX_COMPARED = 6
"""Others that are compared with a picture, at most."""

MAX_FOUND = 24
"""Records that signatures put forward, from which those are chosen."""

SCAN_BATCH = 100
"""Pictures that are searched for, and their pairs proven, at a time: no more findings than theirs wait in memory."""

MIN_SERIES_OVERLAP = 0.6
"""Share of either picture that lies on the other, where both were taken one after the other."""


@dataclass(frozen=True)
class CandidatePair:
    """Two pictures of a source that signatures put forward, and how much alike those of each method are, in percent."""

    a: StoredImage
    b: StoredImage
    scores: dict[str, float]


@dataclass(frozen=True)
class Duplicates:
    """What is in a source more than once: groups of copies, of series, and why some pairs could not be compared."""

    source: ImageSource
    pictures: int
    copies: list[list[StoredImage]]
    series: list[list[StoredImage]]
    problems: list[str]


def find_duplicates(
    source: ImageSource, jobs: int, progress: Callable[[Sequence[int]], Iterable[int]] = iter
) -> Duplicates:
    """Find what is in a source more than once, whoever may see it, but for pairs that are marked as not alike.

    Each picture is searched for by its stored signatures, and compared with the likest others. In memory are the keys
    of the pictures and of the pairs that were compared, what was found, and 128 pictures at a time.

    Args:
        source: where.
        jobs: threads that compare pictures.
        progress: shows that the batches are being worked on, as tqdm does.
    """
    proven = list(_same_files(source))
    series: list[VerifiedPair] = []
    problems: list[str] = []
    seen: set[tuple[int, int]] = set()
    views = ImageCache()
    first = _indexed(source).values("sha256").annotate(first=Min("pk")).order_by("first")
    keys = list(first.values_list("first", flat=True))
    for start in progress(range(0, len(keys), SCAN_BATCH)):
        pairs = list(_pairs(source, keys[start : start + SCAN_BATCH], seen))
        for found in map_in_threads(partial(_compared, views), pairs, jobs):
            if isinstance(found, str):
                problems.append(found)
            elif found is not None:
                (proven if found.is_copy else series).append(found)
    unlike = {frozenset(ids) for *ids, is_alike in marks.marked_pairs(source) if not is_alike}
    proven, series = (
        [one for one in found if frozenset(picture.object_id for picture in _stored(one)) not in unlike]
        for found in (proven, series)
    )
    return Duplicates(source, _indexed(source).count(), _members(proven), _members(series), problems)


def is_series(alignment: Registration | None) -> bool:
    """Whether two pictures of the same thing show it from much the same place."""
    return alignment is not None and min(alignment.overlap_a, alignment.overlap_b) >= MIN_SERIES_OVERLAP


def as_html(found: Sequence[Duplicates]) -> str:
    """A page that needs no other file, with a thumbnail of every picture of a group."""
    sources = [
        {
            "duplicates": one,
            "copies": [_shown(group) for group in one.copies],
            "series": [_shown(group) for group in one.series],
        }
        for one in found
    ]
    return render_to_string("similar_images/duplicates.html", {"sources": sources, "date": timezone.localtime()})


def _shown(group: Sequence[ScannedImage]) -> list[report.Member]:
    return [report.report_member(number, picture) for number, picture in enumerate(group, 1)]


def _indexed(source: ImageSource) -> IndexedImageQuerySet:
    return IndexedImage.objects.for_source(source).indexed()


def _same_files(source: ImageSource) -> Iterator[VerifiedPair]:
    """The pictures that are the same file as another."""
    several = _indexed(source).values("sha256").annotate(count=Count("pk")).filter(count__gt=1).values("sha256")
    records = _indexed(source).filter(sha256__in=several).order_by("pk").iterator()
    _first, twins = split_exact_duplicates(StoredImage.of(source, record) for record in records)
    return exact_duplicate_pairs(twins)


def _pairs(source: ImageSource, keys: Sequence[int], seen: set[tuple[int, int]]) -> Iterator[CandidatePair]:
    """What signatures put forward for these records, and was not seen before."""
    forms = versions.active_versions(source)
    described: dict[int, list[MethodSpec]] = defaultdict(list)
    rows = Signature.objects.filter(record__in=keys, low_detail=False).values_list("record_id", "method", "version")
    for record_id, name, version in rows:
        if name in forms and forms[name].version == version:
            described[record_id].append(forms[name])
    records = _indexed(source).in_bulk(keys)
    for key in keys:
        if (record := records.get(key)) is None or not described[key]:
            continue
        chosen = _likest(source, record, described[key])
        others = _indexed(source).in_bulk([one.candidate.record_id for one in chosen])
        for one in chosen:
            pair = min(key, one.candidate.record_id), max(key, one.candidate.record_id)
            if pair not in seen and (other := others.get(one.candidate.record_id)):
                seen.add(pair)
                yield CandidatePair(StoredImage.of(source, record), StoredImage.of(source, other), one.scores)


def _likest(source: ImageSource, record: IndexedImage, forms: Iterable[MethodSpec]) -> list[candidates.ScoredCandidate]:
    """The records most like this one, other than those of the same file."""
    vectors = [query_vectors.stored_vector(form, record.pk) for form in forms]
    weights = dict.fromkeys((vector.spec.name for vector in vectors), 1.0)
    pools = dict.fromkeys(weights, MAX_FOUND)
    others = _indexed(source).exclude(sha256=record.sha256)
    rows = candidates.search_candidates(source, vectors, others, pools, MAX_FOUND)
    found = candidates.score_rows(vectors, rows, weights, refine=False)
    alike = [one for one in found if max(one.scores.values()) >= MIN_CANDIDATE_SIMILARITY]
    return copies.select_for_verification(alike, MAX_COMPARED)


def _compared(views: ImageCache, pair: CandidatePair) -> VerifiedPair | str | None:
    """A copy or one of a series, None where it is neither; or why that can't be said."""
    a, b = pair.a, pair.b
    try:
        seen = views.of(a), views.of(b)
        found, _agreement = copies.copy_verdict(*seen, max(pair.scores.values()))
        if found.kind == "same-picture" or (found.kind == "same-object" and is_series(register(*seen))):
            return VerifiedPair(a, b, found.kind, found.text, pair.scores)
    except decode.INTERRUPTIONS:
        raise
    except Exception as error:  # whatever one pair brings takes nothing from the others
        return f"{a.name}, {b.name}: {error}"
    return None


def _members(findings: Iterable[VerifiedPair]) -> list[list[StoredImage]]:
    """The pictures of each group, the likest first."""
    return [
        list({picture.name: picture for finding in group for picture in _stored(finding)}.values())
        for group in connected_components(findings)
    ]


def _stored(finding: VerifiedPair) -> list[StoredImage]:
    return [picture for picture in (finding.a, finding.b) if isinstance(picture, StoredImage)]
