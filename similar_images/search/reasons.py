"""Why an object is not among the matches of a search, or where it stands among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

from django.db import connections, models, router, transaction
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from .. import marks, permissions
from ..models import IndexedImage, Signature, Source
from ..registry import ImageSource
from . import nearest, planning, statements
from .planning import Example, Options
from .queries import Operand
from .rankings import Ranking

CHUNK = 2_000
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
    query: Example | Sequence[Example],
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
    if not plan.source.includes(plan.allowed[0], other):
        return invisible() if permissions.may_view(request, plan.source) else unknown()
    return of(plan, other)


def unknown() -> Reason:
    return Reason("unknown", _("There is no such object."))


def invisible() -> Reason:
    return Reason("invisible", _("It may not be seen by whoever asks."))


def of(plan: planning.Search, other: models.Model) -> Reason:
    """Why an object that may be seen does not come back from a search."""
    source, own_id = plan.source, plan.source.object_id(other.pk)
    plan = replace(plan, fallback=None)
    for rank, one in enumerate(plan.run(), start=1):
        if one.candidate.object_id == own_id and one.candidate.file_name == source.file_name(other):
            return _placed("listed", _("It is there, in place %(rank)s with %(similarity)s %%."), one, rank)
    return _left_out(plan, other) or _too_far(plan, other)


def _left_out(plan: planning.Search, other: models.Model) -> Reason | None:
    """What keeps an object out of a search, however much it looks like the query."""
    source = plan.source
    for query in plan.examples:
        if not isinstance(query, models.Model):
            continue
        if query.pk == other.pk:
            return Reason("itself", _("It is what is searched by."))
        mark = marks.of(source, query, other)
        if mark and not mark.is_alike:
            day = date_format(mark.marked_at, "SHORT_DATE_FORMAT")
            return Reason("marked", _("The two were marked as not alike on %(day)s.") % {"day": day})
    if other.pk in plan.excluded:
        return Reason("excluded", _("It was to be left out."))
    if not all(source.includes(queryset, other) for queryset in plan.allowed[1:]):
        return Reason("filtered", _("A filter leaves it out."))
    return None


def _too_far(plan: planning.Search, other: models.Model) -> Reason:
    """Where an object stands that may come back, and does not."""
    source, weights, own_id = plan.source, plan.weights, plan.source.object_id(other.pk)
    operands = plan.operands(plan.examples[0], plan.box)
    if not operands:
        return Reason("no-query", _("What is searched by has no picture that is indexed and may be seen."))
    records = plan.records(operands)
    own = _distances(source, operands, records.filter(object_id=own_id, file_name=source.file_name(other)))
    stored = [one._replace(distances=dict(one.distances)) for one in own]
    best = nearest.blended(operands, nearest.refined(operands, own), weights)
    if not best:
        return _not_comparable(source, other)
    if round(best[0].similarity, 1) < plan.min_similarity:
        least = number_format(plan.min_similarity, use_l10n=True)
        text = _("It is %(similarity)s %% similar, and at least %(least)s %% are asked for.")
        return _placed("below-threshold", text, best[0], None, least=least)
    if _is_folded(plan, own_id):
        text = _("A near copy of it comes in its place, or variety was asked for; it is %(similarity)s %% similar.")
        return _placed("folded", text, best[0], None)
    ids = [one.candidate.object_id for one in nearest.scored(source, operands, weights, records, plan.limit)]
    rank = ids.index(own_id) + 1 if own_id in ids else _exact_rank(source, operands, weights, records, stored[0])
    if rank > plan.limit:
        text = _("It comes further down, in place %(rank)s with %(similarity)s %%; %(limit)s are shown.")
        return _placed("beyond-limit", text, best[0], rank, limit=plan.limit)
    text = _("The approximate search passed it over: by exact count, it is in place %(rank)s with %(similarity)s %%.")
    return _placed("missed", text, best[0], rank)


def _is_folded(plan: planning.Search, object_id: str) -> bool:
    """Whether an object is left out for others that come in its place."""
    if not (plan.choice.folds or plan.choice.diversity or plan.choice.distinct):
        return False
    choice = replace(plan.choice, fold=False, diversity=0, distinct="")
    return object_id in {one.candidate.object_id for one in replace(plan, choice=choice).run()}


def _not_comparable(source: ImageSource, other: models.Model) -> Reason:
    record = IndexedImage.objects.of(source).filter(object_id=source.object_id(other.pk)).first()
    if record is None:
        return Reason("not-indexed", _("It has no picture, or one that nothing is known of yet."))
    if record.status == IndexedImage.Status.FAILED:
        return Reason("not-indexed", _("Its picture could not be indexed: %(error)s") % {"error": record.error})
    if record.status == IndexedImage.Status.PENDING or record.file_name != source.file_name(other):
        return Reason("not-indexed", _("Its picture is yet to be indexed."))
    return Reason("incomparable", _("No method of this ranking has described both pictures."))


def _placed(code: str, text: str, one: nearest.Ranked, rank: int | None, **more: Any) -> Reason:
    similarity = round(one.similarity, 1)
    return Reason(
        code,
        text % {"rank": rank, "similarity": number_format(similarity, use_l10n=True), **more},
        similarity=similarity,
        rank=rank,
        scores={name: round(score, 1) for name, score in one.scores.items()},
        distances=one.candidate.distances,
    )


def _distances(
    source: ImageSource, operands: list[Operand], records: models.QuerySet[IndexedImage]
) -> list[nearest.Candidate]:
    with connections[router.db_for_read(Signature)].cursor() as cursor:
        cursor.execute(*statements.distances(Source.objects.id_of(source), operands, records))
        return nearest.read(operands, cursor.fetchall())


def _exact_rank(
    source: ImageSource,
    operands: list[Operand],
    weights: Ranking,
    records: models.QuerySet[IndexedImage],
    own: nearest.Candidate,
) -> int:
    """The place of a candidate among all records, by stored distances and without an index, in bounded memory."""
    alias, rank = router.db_for_read(Signature), 1
    others = records.exclude(pk=own.record_id)
    with transaction.atomic(using=alias, savepoint=False), connections[alias].chunked_cursor() as cursor:
        cursor.execute(*statements.distances(Source.objects.id_of(source), operands, others))
        while rows := cursor.fetchmany(CHUNK):
            best = nearest.blended(operands, [own, *nearest.read(operands, rows)], weights)
            rank += [one.candidate.record_id for one in best].index(own.record_id)
    return rank
