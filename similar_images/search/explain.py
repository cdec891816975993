"""Why an object is not among the matches of a search, or where it ranks among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from django.db import connections, models, router, transaction
from django.db.models import Exists
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import marks, permissions
from ..models import IndexedImage, IndexedImageQuerySet, Signature, Source, requests_of_record
from ..sources.owners import OWNER_KEY
from ..sources.source import ImageSource
from . import sql
from .candidates import ScoredCandidate, ScoredResults, sort_key
from .diversity import exclude_same_group
from .options import Example, SearchOptions, accepts_search_options
from .plan import plan_search
from .search import MAX_CANDIDATES, Search, SearchTrace

RANKED_CHUNK = 2_000
"""Records that are ranked at a time, which bounds the memory."""


ReasonCode = Literal[
    "unknown",
    "invisible",
    "itself",
    "excluded",
    "filtered",
    "marked",
    "no-query",
    "not-indexed",
    "incomparable",
    "incomplete",
    "below-threshold",
    "folded",
    "beyond-limit",
    "missed",
    "listed",
]


@dataclass(frozen=True)
class Reason:
    """Why an object is not in a list.

    Attributes:
        code: one of unknown (there is none that the visitor may see), invisible (for staff only), itself (the query),
            excluded, filtered (by the queryset), marked (as not alike), no-query (nothing to search by), not-indexed,
            incomparable (no method described both images), incomplete (not all images could be compared in time),
            below-threshold, folded (something comes in its place), beyond-limit, missed (by the approximate search); or
            listed, as it is there after all.
        text: the same in a sentence.
        similarity: in percent with one decimal, where the images could be compared.
        rank: counts from 1, best first; the exact one of an object that the search missed.
        scores: similarities by method.
        distances: distances by method.
    """

    code: ReasonCode
    text: str
    similarity: float | None = None
    rank: int | None = None
    scores: dict[str, float] = field(default_factory=dict)
    distances: dict[str, float] = field(default_factory=dict)


@accepts_search_options
def why_not(query: Example | Iterable[Example], other: models.Model, **options: Any) -> Reason:
    """Explain why an object does not come back from `similar_to` with the same arguments.

    Only the rank of an object that was not among the candidates is expensive: it reads a signature of every image.

    Args:
        query: as for `similar_to`.
        other: the object.
        **options: as for `similar_to`.

    Raises:
        NotRegistered, UnreadableImage, SearchTimeout, TypeError: as `similar_to`.
        ValueError: as `similar_to`; or the other object is of another model.
    """
    checked = SearchOptions.from_arguments("why_not", options)
    search = plan_search(query, checked)
    source = search.source
    if not isinstance(other, source.model) and not source.is_owner(other):
        raise ValueError(_("%(other)s is not of the model that is searched.") % {"other": other})
    asked = other
    if source.is_owner(other):
        is_visible = source.get_visible(checked.request, str(other.pk), other.__class__) is not None
        other = nearest_image(search, other) or other
    else:
        is_visible = source.contains(search.allowed[0], other)
    if not is_visible:
        return unseen_object(checked.request, source, str(asked.pk), asked.__class__)
    if source.is_owner(other):
        return imageless_object()
    return explain_absence(search, other, tells_errors=permissions.can_view(checked.request, source))


def nearest_image(search: Search, owner: models.Model) -> Any:
    """Return the image object of an owner that is most similar to the query; None if it has none that may be seen."""
    source = search.source
    images = {source.object_id(image.pk): image for image in source.images_of(owner, search.allowed[0])}
    if len(images) < 2 or not search.query.positive:
        return next(iter(images.values()), None)
    records = IndexedImage.objects.for_source(source).filter(object_id__in=list(images))
    rows = [row for chunk in _read_distances(search, records) for row in chunk]
    ranked = [scored.candidate.object_id for scored in search.score_rows(search.query, rows)]
    return images[next(iter(ranked), next(iter(images)))]


def nearest_images(
    source: ImageSource, item: models.Model, other: models.Model, request: HttpRequest | None
) -> tuple[Any, Any]:
    """Return of each of two objects the one whose image it is: of an owner, that most similar to the other's.

    Args:
        source: the source of the images.
        item: an object.
        other: another of the same model.
        request: that of the visitor, who sees no other images; None for an owner that has none.
    """
    options = SearchOptions(request=request, field=source.field_name)
    other_image = nearest_image(plan_search([item], options), other) if source.is_owner(other) else other
    if not source.is_owner(item):
        return item, other_image
    return nearest_image(plan_search([other_image or other], options), item), other_image


def unseen_object(request: HttpRequest | None, source: ImageSource, pk: str, model: type[models.Model]) -> Reason:
    """Return the reason of a key that is of no object of a model which the visitor may see.

    A hidden object is looked up among those alone that the visitor may see as an editor: to others, it is told as a
    missing one, and takes its time.
    """
    objects = model._base_manager.all()
    if not issubclass(model, source.model):
        can_view = permissions.can_view_model(request, model._meta.app_label, model._meta.model_name)
    elif can_view := permissions.can_view(request, source):
        objects = objects.filter(pk__in=permissions.get_policy(source).viewable(request).order_by().values("pk"))
    is_hidden = can_view and source.get_or_none(objects, pk) is not None
    return invisible_object() if is_hidden else unknown_object()


def unknown_object() -> Reason:
    """Return the reason of an object that does not exist, as far as the visitor may know."""
    return Reason("unknown", _("No item with this ID."))


def invisible_object() -> Reason:
    """Return the reason of an object that the visitor may not see, for staff."""
    return Reason("invisible", _("Visitors are not allowed to see it."))


def explain_absence(search: Search, other: models.Model, *, tells_errors: bool = False) -> Reason:
    """Explain why an object that may be seen does not come back from a search, by taking the search's own steps.

    Args:
        search: the search.
        other: the object.
        tells_errors: whether the messages of indexing errors are told, for staff.
    """
    results = search.find(search.query)
    return (
        _listed_reason(search, results, other)
        or _excluded_reason(search, other)
        or _incomplete_reason(results)
        or _ranked_reason(search, other)
        or _unindexed_reason(search.source, other, tells_errors)
    )


def _listed_reason(search: Search, results: ScoredResults, other: models.Model) -> Reason | None:
    source = search.source
    own_id = source.object_id(other.pk)
    own = own_id, source.get_file_name(other)
    owners = _owners_of(source, other, results)
    for rank, scored in enumerate(results, start=1):
        candidate = scored.candidate
        is_own = (candidate.object_id, candidate.file_name) == own
        if is_own or (owners.get(own_id) is not None and owners.get(candidate.object_id) == owners[own_id]):
            return _reason_at("listed", _("It is listed at position %(rank)s (%(similarity)s%%)."), scored, rank)
    return None


def _owners_of(source: ImageSource, item: models.Model, results: list[ScoredCandidate]) -> dict[str, Any]:
    """Return the key of the owner of an object, and of those of results, by object id; empty where none has any."""
    if source.ownership is None:
        return {}
    pks = [item.pk, *(scored.candidate.object_id for scored in results)]
    owned = source.ownership.annotate(source.objects.filter(pk__in=pks)).values_list("pk", OWNER_KEY)
    return {source.object_id(pk): key for pk, key in owned}


def _excluded_reason(search: Search, other: models.Model) -> Reason | None:
    """Return what keeps an object out of a search, however similar it is."""
    source = search.source
    for example in (image for images in search.examples for image in images):
        if not isinstance(example, models.Model):
            continue
        if example.pk == other.pk:
            return Reason("itself", _("This is the item that is searched by."))
        mark = marks.get_mark(source, example, other)
        if mark and not mark.is_alike:
            moment = timezone.localtime(mark.marked_at) if timezone.is_aware(mark.marked_at) else mark.marked_at
            day = date_format(moment, "DATE_FORMAT")
            return Reason("marked", _("The two were marked as not similar on %(day)s.") % {"day": day})
    if other.pk in search.excluded:
        return Reason("excluded", _("It was excluded explicitly."))
    if not all(source.contains(queryset, other) for queryset in search.allowed[1:]):
        return Reason("filtered", _("A filter leaves it out."))
    if not search.query.positive:
        return Reason("no-query", _("The item that is searched by has no indexed image that may be seen."))
    for path in search.groupings:
        allowed = exclude_same_group(source, [item.pk for item in search.query.items], path)
        if not source.contains(allowed, other):
            return Reason("folded", _("It is another image of the item that is searched by."))
    return None


def _incomplete_reason(results: ScoredResults) -> Reason | None:
    """Return that nothing can be said of ranks, where the search was cut short."""
    if results.is_complete:
        return None
    return Reason("incomplete", _("Not all images could be compared in time. Please try again later."))


def _ranked_reason(search: Search, other: models.Model) -> Reason | None:
    """Return where an object ranks that may come back, and does not; None where it can't be compared."""
    source, query = search.source, search.query
    records = search.records(query.items)
    own_id = source.object_id(other.pk)
    own = records.filter(object_id=own_id, file_name=source.get_file_name(other))
    rows = [row for chunk in _read_distances(search, own) for row in chunk]
    reranked = search.rerank(query, search.score_rows(query, rows))
    if incomplete := _incomplete_reason(reranked):
        return incomplete
    scored = next(iter(reranked), None)
    if scored is None:
        return None
    if round(scored.similarity, 1) < search.min_similarity:
        least = number_format(search.min_similarity, use_l10n=True)
        text = _("It is %(similarity)s%% similar, below the minimum of %(least)s%%.")
        return _reason_at("below-threshold", text, scored, None, least=least)
    trace = SearchTrace()
    whole = replace(search, limit=MAX_CANDIDATES, min_similarity=0).find(query, trace)
    rank = next((rank for rank, c in enumerate(whole, start=1) if c.candidate.object_id == own_id), None)
    if rank is None and _was_folded(trace, scored.candidate.record_id):
        text = _("A near-duplicate is shown instead (%(similarity)s%% similar).")
        return _reason_at("folded", text, scored, None)
    if rank is None:
        rank = _exact_rank(search, records, rows)
    if rank > search.limit:
        text = ngettext(
            "It ranks at position %(rank)s (%(similarity)s%%); only the first match is shown.",
            "It ranks at position %(rank)s (%(similarity)s%%); only the first %(limit)s are shown.",
            search.limit,
        )
        return _reason_at("beyond-limit", text, scored, rank, limit=search.limit)
    text = _("The approximate index missed it; an exact search ranks it at position %(rank)s (%(similarity)s%%).")
    return _reason_at("missed", text, scored, rank)


def _was_folded(trace: SearchTrace, record_id: int) -> bool:
    """Tell whether a search left a record out for another: it was folded, or no longer looked for as the same file."""
    if record_id in trace.folded:
        return True
    is_left = trace.remaining is None or trace.remaining.filter(pk=record_id).exists()
    return record_id not in trace.seen and not is_left


def _unindexed_reason(source: ImageSource, other: models.Model, tells_errors: bool) -> Reason:
    records = IndexedImage.objects.for_source(source).filter(object_id=source.object_id(other.pk))
    record: Any = records.annotate(is_requested=Exists(requests_of_record())).first()
    if record is None:
        return imageless_object()
    if record.status == IndexedImage.Status.FAILED:
        if not tells_errors:
            return Reason("not-indexed", _("Its image could not be processed."))
        return Reason("not-indexed", _("Its image could not be processed: %(error)s") % {"error": record.error})
    is_pending = record.is_requested or record.status == IndexedImage.Status.PENDING
    if is_pending or record.file_name != source.get_file_name(other):
        return Reason("not-indexed", _("Its image has not been processed yet."))
    return Reason("incomparable", _("The two images share no signature in this ranking."))


def imageless_object() -> Reason:
    """Return the reason of an object without an image that is known."""
    return Reason("not-indexed", _("It has no image, or its image has not been registered yet."))


def _reason_at(code: ReasonCode, text: str, scored: ScoredCandidate, rank: int | None, **values: Any) -> Reason:
    similarity = round(scored.similarity, 1)
    return Reason(
        code,
        text % {"rank": rank, "similarity": number_format(similarity, use_l10n=True), **values},
        similarity=similarity,
        rank=rank,
        scores={name: round(score, 1) for name, score in scored.scores.items()},
        distances=scored.candidate.distances,
    )


def _exact_rank(search: Search, records: IndexedImageQuerySet, own: list[sql.KnnRow]) -> int:
    """Return the rank of a record among all, by stored distances."""
    (own_key,) = _stored_keys(search, own)
    return 1 + sum(key < own_key for rows in _read_distances(search, records) for key in _stored_keys(search, rows))


def _stored_keys(search: Search, rows: list[sql.KnnRow]) -> list[tuple[float, float, int]]:
    return [sort_key(scored) for scored in search.score_rows(search.query, rows, refine=False)]


def _read_distances(search: Search, records: IndexedImageQuerySet) -> Iterator[list[sql.KnnRow]]:
    """Read the distances of records to the whole query, without an index, in bounded memory."""
    statement = sql.distances_sql(Source.objects.get_id(search.source), search.query.vectors, records)
    alias = router.db_for_read(Signature)
    with transaction.atomic(using=alias), connections[alias].chunked_cursor() as cursor:
        cursor.execute(*statement)
        while rows := cursor.fetchmany(RANKED_CHUNK):
            yield sql.read_rows(rows)
