"""Which of the candidates make up the matches: near copies come as one, an object comes once, and not all of a kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldError
from django.db import connections, models, router
from django.utils.translation import gettext as _

from .. import conf, ranking_presets
from ..indexing import versions
from ..models import IndexedImage, IndexedImageQuerySet, Signature, Source
from ..registry import ImageSource
from ..signatures.base import MethodSpec, distance_from_similarity
from . import candidates, sql
from . import ranking as rankings
from .candidates import ScoredCandidate
from .ranking import Ranking

MAX_METHOD_DEFICIT = 25
"""By how many percent one method alone may fall short of what near copies are by all together."""

REFILL_FACTOR, MAX_CANDIDATES = 4, 1_000
"""While twins leave a page unfilled, so many times the candidates are looked at again, up to so many in all."""

MAX_FOLDED = 400
"""The best candidates, which are compared with each other: the pairs are some ten thousand, a tenth of a second."""

MAX_DIVERSIFIED = 100
"""Matches that are reordered for variety; those after them keep their places."""

Find = Callable[[int, "IndexedImageQuerySet"], list[ScoredCandidate]]
"""Candidates for so many matches among records, best first, with SPARE more if there are."""

Pairs = dict[tuple[int, int], float]
"""The similarity of two records, by their ids, the smaller one first."""


@dataclass(frozen=True)
class ResultOptions:
    """What a caller wants of the candidates, as for `similar_to`; and whether the query is a picture, not a text."""

    fold: bool = True
    diversity: float = 0
    distinct: str = ""
    by_picture: bool = True

    def check(self, source: ImageSource) -> None:
        """Raises:
        ValueError: it makes no sense for this source; the message says why.
        """
        if not 0 <= self.diversity <= 1:
            raise ValueError(_("diversity must be between 0 and 1."))
        if self.distinct:
            try:
                source.objects.values(self.distinct)
            except FieldError as error:
                raise ValueError(f"distinct={self.distinct!r}: {error}") from None

    @property
    def folds(self) -> bool:
        return self.fold and conf.get().near_duplicate_threshold <= 100


def select_results(
    source: ImageSource,
    choice: ResultOptions,
    find: Find,
    records: IndexedImageQuerySet,
    forms: Mapping[str, MethodSpec],
    limit: int,
    min_similarity: float,
    *,
    in_order: bool,
) -> list[ScoredCandidate]:
    """The matches among these records, best first, or by variety; `forms` are the versions that the search goes by.

    Where near copies, or several pictures of one object, leave places free, they are filled from among the rest;
    `in_order` says that nothing among the rest is better than all that was found before.
    """
    best: list[ScoredCandidate] = []
    passed: list[int] = []
    taken: dict[str, Any] = {}
    size, rest = max(limit, MAX_DIVERSIFIED) if choice.diversity else limit, records
    while True:
        found = find(size, rest)
        near = candidates.filter_by_similarity(min_similarity, found)
        all_near = best = candidates.sort_scored([*best, *near])
        passed += _ids(found)
        if choice.distinct:
            taken |= group_values(source, choice.distinct, near)
            best = deduplicate(best, taken)
        if choice.folds:
            head = best[:MAX_FOLDED]
            best = (
                fold_near_duplicates(
                    head, pair_similarities(source, forms, _ids(head), are_near=True), choice.by_picture
                )
                + best[MAX_FOLDED:]
            )
        # Behind a crowd that came as one, what only another method put forward says nothing of the rest.
        goes_on = len(forms) > 1 and len(best) < len(all_near)
        is_below = not near or (len(near) < len(found) and not goes_on)
        is_all = len(found) < size + candidates.MIN_OVERFETCH or (in_order and is_below)
        if len(best) >= limit or is_all or len(passed) >= MAX_CANDIDATES:
            break
        size = min(size * REFILL_FACTOR, MAX_CANDIDATES)
        rest = _remaining_records(source, records, choice, passed, taken)
    if choice.diversity:
        best = diversify(best, pair_similarities(source, forms, _ids(best[:MAX_DIVERSIFIED])), choice.diversity)
    return best[:limit]


def exclude_same_group(source: ImageSource, pks: list[Any], path: str) -> models.QuerySet[Any]:
    """The objects that have at this path of fields none of what these have there."""
    values = source.objects.filter(pk__in=pks, **{f"{path}__isnull": False}).values(path)
    return source.objects.exclude(**{f"{path}__in": values})


def deduplicate(found: Iterable[ScoredCandidate], values: Mapping[str, Any]) -> list[ScoredCandidate]:
    """The best candidate of each value, by object id; those without one all stay."""
    taken = set()
    best = []
    for one in found:
        value = values.get(one.candidate.object_id)
        if value is None or value not in taken:
            taken.add(value)
            best.append(one)
    return best


def fold_near_duplicates(
    found: Iterable[ScoredCandidate], near: Iterable[tuple[int, int]], by_picture: bool
) -> list[ScoredCandidate]:
    """The candidates without near copies of better ones, which tell how many they stand for.

    Those of the query, where that is a picture, come as one, too.
    """
    copies = defaultdict(set)
    for a, b in near:
        copies[a].add(b)
        copies[b].add(a)
    weights = _normalized_ranking()
    kept: dict[int, ScoredCandidate] = {}
    places: dict[int, int] = {}
    first = None
    for one in found:
        record_id = one.candidate.record_id
        into = min(copies[record_id] & kept.keys(), key=places.__getitem__, default=None)
        of_query = by_picture and weights.keys() <= one.scores.keys() and is_near_duplicate(one.scores, weights)
        if into is None and of_query:
            into = first
        if into is not None:
            kept[into] = kept[into]._replace(folded=kept[into].folded + 1 + one.folded)
            continue
        kept[record_id], places[record_id] = one, len(places)
        if of_query:
            first = record_id
    return list(kept.values())


def diversify(found: list[ScoredCandidate], likeness: Pairs, diversity: float) -> list[ScoredCandidate]:
    """The candidates by maximal marginal relevance: what is like the query, and unlike what came before.

    Carbonell and Goldstein, The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing
    Summaries, SIGIR 1998. The first VARIED are reordered.
    """
    rest = dict(enumerate(found[:MAX_DIVERSIFIED]))
    closest = dict.fromkeys(rest, 0.0)
    best = []
    while rest:
        place = max(rest, key=lambda n: (1 - diversity) * rest[n].similarity - diversity * closest[n])
        taken = rest.pop(place)
        best.append(taken)
        for n, other in rest.items():
            a, b = sorted((taken.candidate.record_id, other.candidate.record_id))
            closest[n] = max(closest[n], likeness.get((a, b), 0))
    return best + found[MAX_DIVERSIFIED:]


def pair_similarities(
    source: ImageSource, forms: Mapping[str, MethodSpec], record_ids: list[int], are_near: bool = False
) -> Pairs:
    """How similar these records are to each other by SIMILAR_IMAGES["RANKING"]; of near copies only, where asked for.

    What the search itself goes by does not matter: things of one color are no copies because one looks for a color.
    """
    if len(record_ids) < 2:
        return {}
    weights = _normalized_ranking()
    if not weights.keys() <= forms.keys():
        forms = versions.active_versions(source) | dict(forms)
    judges = sorted((forms[name] for name in weights), key=lambda form: form.dimensions)  # what is cheap goes first
    reaches = (
        [distance_from_similarity(form.curve, _min_method_similarity(weights[form.name])) for form in judges]
        if are_near
        else None
    )
    found: Pairs = {}
    with connections[router.db_for_read(Signature)].cursor() as cursor:
        cursor.execute(*sql.pairs_sql(Source.objects.get_id(source), judges, record_ids, reaches))
        rows = cursor.fetchall()
    unlike = {frozenset((a, b)) for a, b, is_unlike, *_distances in rows if is_unlike}
    for a, b, is_unlike, *distances in rows:
        if is_unlike or (are_near and frozenset((a, b)) in unlike):
            continue
        told = zip(judges, distances, strict=True)
        scores = {form.name: form.similarity(distance) for form, distance in told if distance is not None}
        if scores and (not are_near or is_near_duplicate(scores, weights)):
            found[a, b] = ranking_presets.fuse_scores(scores, weights)
    return found


def is_near_duplicate(scores: Mapping[str, float], weights: Ranking) -> bool:
    """Whether two pictures that are so similar, by every method of these weights that saw both, are near copies."""
    least = conf.get().near_duplicate_threshold
    known = [name for name in weights if name in scores]
    if sum(weights[name] for name in known) < sum(weights.values()) / 2:  # too little is known of them yet
        return False
    return ranking_presets.fuse_scores(scores, weights) >= least and all(
        scores[name] >= least - MAX_METHOD_DEFICIT for name in known
    )


def _normalized_ranking() -> dict[str, float]:
    """SIMILAR_IMAGES["RANKING"] as shares of 1."""
    ranking = rankings.resolve_weights()
    return {name: weight / sum(ranking.values()) for name, weight in ranking.items()}


def _min_method_similarity(share: float) -> float:
    """What near copies have at least by a method of this share: else all others together could not make up for it."""
    least = conf.get().near_duplicate_threshold
    return max(least - MAX_METHOD_DEFICIT, (least - 100 * (1 - share)) / share)


def _remaining_records(
    source: ImageSource,
    records: IndexedImageQuerySet,
    choice: ResultOptions,
    passed: list[int],
    values: Mapping[str, Any],
) -> IndexedImageQuerySet:
    """The records that can still be new: none that was passed, nor the same file, nor another picture of an object."""
    if choice.folds:
        files = IndexedImage.objects.filter(pk__in=passed).exclude(sha256="").values("sha256")
        records = records.exclude(sha256__in=files)
    if choice.distinct:
        taken = {value for value in values.values() if value is not None}
        others = source.objects.exclude(**{f"{choice.distinct}__in": taken})
        records = records.for_objects(source, others)
    return records.exclude(pk__in=passed)


def group_values(source: ImageSource, path: str, found: list[ScoredCandidate]) -> dict[str, Any]:
    """What the objects of the candidates have at this path of fields, by object id."""
    objects = source.objects.filter(pk__in=[one.candidate.object_id for one in found])
    return {source.object_id(pk): value for pk, value in objects.values_list("pk", path)}


def _ids(found: Iterable[ScoredCandidate]) -> list[int]:
    return [one.candidate.record_id for one in found]
