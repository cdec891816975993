"""Why an object is not among the matches of a search, or where it stands among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

from django.db import connections, models, router, transaction
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from .. import marks, permissions
from ..models import IndexedImage, Signature, Source
from ..registry import ImageSource
from . import candidates, multi_query, near_duplicates, sql
from . import plan as planning
from .plan import Example, Options

Rows = list[tuple[Any, ...]]

RANKED_CHUNK = 2_000
"""Records that are ranked at a time."""


@dataclass(frozen=True)
class Reason:
    """Why an object is not in a list.

    `code` is one of: unknown (there is none that the visitor may see), invisible (told to staff only), itself (the
    query), excluded, filtered (by the queryset), marked (as not alike), no-query (nothing to search by), not-indexed,
    incomparable (no method described both pictures), below-threshold, folded (something comes in its place),
    beyond-limit, missed (by the approximate search);
    or listed, as it is there after all. `text` says it in a sentence.

    `similarity` is in percent with one decimal, `scores` the same by method, `distances` are raw; as of a match, where
    the pictures could be compared. `rank` counts from 1, best first; of what was missed, it is the exact one.
    """

    code: str
    text: str
    similarity: float | None = None
    rank: int | None = None
    scores: dict[str, float] = field(default_factory=dict)
    distances: dict[str, float] = field(default_factory=dict)


def why_not(
    query: Example | Iterable[Example],
    other: models.Model,
    *,
    model: type[models.Model] | str | None = None,
    queryset: models.QuerySet[Any] | None = None,
    **options: Unpack[Options],
) -> Reason:
    """Say why an object does not come back from `similar_to` with the same arguments.

    Only what the search did not come upon is ranked exactly, which reads a signature of every picture.

    Raises:
        NotRegistered, UnreadableImage, SearchTimeout: as `similar_to`.
        ValueError: as `similar_to`; or the other object is of another model.
    """
    plan, request = planning.plan(query, model=model, queryset=queryset, **options), options.get("request")
    if not isinstance(other, plan.source.model):
        raise ValueError(_("%(other)s is of another model than what is searched.") % {"other": other})
    if not plan.source.contains(plan.allowed[0], other):
        return invisible_object() if permissions.can_view(request, plan.source) else unknown_object()
    return explain_absence(plan, other, tells_errors=permissions.can_view(request, plan.source))


def unknown_object() -> Reason:
    return Reason("unknown", _("There is no such object."))


def invisible_object() -> Reason:
    return Reason("invisible", _("It may not be seen by whoever asks."))


def explain_absence(plan: planning.Search, other: models.Model, *, tells_errors: bool = False) -> Reason:
    """Why an object that may be seen does not come back from a search; with the words of errors, if staff asks."""
    source, own_id = plan.source, plan.source.object_id(other.pk)
    asked = plan.asked()
    for rank, one in enumerate(plan.best(asked), start=1):
        if one.candidate.object_id == own_id and one.candidate.file_name == source.get_file_name(other):
            return _reason_at_rank("listed", _("It is there, in place %(rank)s with %(similarity)s %%."), one, rank)
    return (
        _excluded_reason(plan, other)
        or _ranked_reason(plan, asked, other)
        or _not_comparable(source, other, tells_errors)
    )


def _excluded_reason(plan: planning.Search, other: models.Model) -> Reason | None:
    """What keeps an object out of a search, however much it looks like the query."""
    source = plan.source
    for query in plan.examples:
        if not isinstance(query, models.Model):
            continue
        if query.pk == other.pk:
            return Reason("itself", _("It is what is searched by."))
        mark = marks.get_mark(source, query, other)
        if mark and not mark.is_alike:
            day = date_format(mark.marked_at, "SHORT_DATE_FORMAT")
            return Reason("marked", _("The two were marked as not alike on %(day)s.") % {"day": day})
    if other.pk in plan.excluded:
        return Reason("excluded", _("It was to be left out."))
    if not all(source.contains(queryset, other) for queryset in plan.allowed[1:]):
        return Reason("filtered", _("A filter leaves it out."))
    return None


def _ranked_reason(plan: planning.Search, asked: planning.ResolvedQuery, other: models.Model) -> Reason | None:
    """Where an object stands that may come back, and does not; None where it can't be compared."""
    source, own_id = plan.source, plan.source.object_id(other.pk)
    if not asked.likes:
        return Reason("no-query", _("What is searched by has no picture that is indexed and may be seen."))
    if plan.choice.distinct:
        of_query = near_duplicates.exclude_same_group(source, [item.pk for item in asked.objects], plan.choice.distinct)
        if not source.contains(of_query, other):
            return Reason("folded", _("It is another picture of what is searched by."))
    records = plan.records(asked.objects)
    own = records.filter(object_id=own_id, file_name=source.get_file_name(other))
    rows = [row for chunk in _chunks(plan, asked, own) for row in chunk]
    best = plan.proven(asked, multi_query.rank_rows(asked.likes, asked.unlikes, plan.weights, rows))
    if not best:
        return None
    if round(best[0].similarity, 1) < plan.min_similarity:
        least = number_format(plan.min_similarity, use_l10n=True)
        text = _("It is %(similarity)s %% similar, and at least %(least)s %% are asked for.")
        return _reason_at_rank("below-threshold", text, best[0], None, least=least)
    whole = replace(plan, limit=near_duplicates.MAX_CANDIDATES, min_similarity=0)
    rank = _rank_of(whole.best(asked), own_id)
    if rank is None and _rank_of(replace(whole, choice=planning.NO_FOLDING).best(asked), own_id):
        text = _("A near copy of it comes in its place, or variety was asked for; it is %(similarity)s %% similar.")
        return _reason_at_rank("folded", text, best[0], None)
    if rank is None:
        rank = _exact_rank(plan, asked, records, rows)
    if rank > plan.limit:
        text = _("It comes further down, in place %(rank)s with %(similarity)s %%; %(limit)s are shown.")
        return _reason_at_rank("beyond-limit", text, best[0], rank, limit=plan.limit)
    text = _("The approximate search passed it over: by exact count, it is in place %(rank)s with %(similarity)s %%.")
    return _reason_at_rank("missed", text, best[0], rank)


def _rank_of(found: list[candidates.ScoredCandidate], object_id: str) -> int | None:
    return next((place for place, one in enumerate(found, start=1) if one.candidate.object_id == object_id), None)


def _not_comparable(source: ImageSource, other: models.Model, tells_errors: bool) -> Reason:
    record = IndexedImage.objects.for_source(source).filter(object_id=source.object_id(other.pk)).first()
    if record is None:
        return Reason("not-indexed", _("It has no picture, or one that nothing is known of yet."))
    if record.status == IndexedImage.Status.FAILED:
        if not tells_errors:
            return Reason("not-indexed", _("Its picture could not be indexed."))
        return Reason("not-indexed", _("Its picture could not be indexed: %(error)s") % {"error": record.error})
    if record.status == IndexedImage.Status.PENDING or record.file_name != source.get_file_name(other):
        return Reason("not-indexed", _("Its picture is yet to be indexed."))
    return Reason("incomparable", _("No method of this ranking has described both pictures."))


def _reason_at_rank(code: str, text: str, one: candidates.ScoredCandidate, rank: int | None, **more: Any) -> Reason:
    similarity = round(one.similarity, 1)
    return Reason(
        code,
        text % {"rank": rank, "similarity": number_format(similarity, use_l10n=True), **more},
        similarity=similarity,
        rank=rank,
        scores={name: round(score, 1) for name, score in one.scores.items()},
        distances=one.candidate.distances,
    )


def _exact_rank(
    plan: planning.Search, asked: planning.ResolvedQuery, records: models.QuerySet[IndexedImage], own: Rows
) -> int:
    """The place of a record among all, by stored distances."""

    def places(rows: Rows) -> list[tuple[float, float, int]]:
        ranked = multi_query.rank_rows(asked.likes, asked.unlikes, plan.weights, rows, truly=False)
        return [candidates.sort_key(one) for one in ranked]

    (own_place,) = places(own)
    return 1 + sum(place < own_place for rows in _chunks(plan, asked, records) for place in places(rows))


def _chunks(
    plan: planning.Search, asked: planning.ResolvedQuery, records: models.QuerySet[IndexedImage]
) -> Iterator[Rows]:
    """The distances of records to all that is asked for, without an index, in bounded memory."""
    operands = [operand for example in (*asked.likes, *asked.unlikes) for operand in example]
    alias = router.db_for_read(Signature)
    with transaction.atomic(using=alias, savepoint=False), connections[alias].chunked_cursor() as cursor:
        cursor.execute(*sql.distances_sql(Source.objects.get_id(plan.source), operands, records))
        while rows := cursor.fetchmany(RANKED_CHUNK):
            yield rows
