"""A search, from what callers ask for to ranked results: candidates, scores, near-duplicates folded, re-ranking."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from .. import conf
from ..imaging import decode
from ..imaging.files import read_stored
from ..imaging.timeouts import SearchTimeout
from ..models import IndexedImage, IndexedImageQuerySet, Source
from ..printable import make_printable
from ..signatures.base import MethodSpec
from ..sources.owners import OwnerKey
from ..sources.source import ImageSource
from . import diversity, near_duplicates, sql
from .candidates import (
    MIN_OVERFETCH,
    ScoredCandidate,
    ScoredResults,
    filter_by_similarity,
    plan_pools,
    pool_sizes,
    score_rows,
    search_candidates,
    sort_scored,
)
from .fallback import fallback_results
from .multi_query import ExampleVectors, score_examples, widened_limit
from .neighbors import NeighborSearch, Scorer
from .options import SearchOptions
from .query_vectors import QueryVector, describe_query, stored_queries
from .recollection import ImageQuery, Recollection, keep_vectors, recollect
from .rerank import RERANKERS
from .sql import KnnRow

logger = logging.getLogger("similar_images")

REFILL_FACTOR = 4
"""Where folding leaves the page short, the search goes on with this many times as many candidates."""

MAX_CANDIDATES = 1_000
"""Candidates over all rounds of a search."""

Subject = models.Model | bytes | str
"""Subject of a search: an object with an image, the bytes of one, or a text."""


@dataclass(frozen=True)
class ResolvedQuery:
    """The query vectors of a search.

    `positive` has those of each example, `negative` those of each that matches must not resemble; images without
    signatures, or that may not be seen, are dropped. `items` are the objects among the positive ones.
    """

    positive: list[ExampleVectors]
    negative: list[ExampleVectors]
    items: list[models.Model]

    @property
    def vectors(self) -> list[QueryVector]:
        """All query vectors, in the order of the operands of a statement."""
        return [vector for images in (*self.positive, *self.negative) for vectors in images for vector in vectors]

    @property
    def shape(self) -> list[tuple[int, ...]]:
        """The number of vectors of each image, by example: what tells this query from others of the same vectors."""
        return [tuple(map(len, images)) for images in (*self.positive, [], *self.negative)]

    @property
    def is_single(self) -> bool:
        """True where one example alone is searched by, which may have several images."""
        return len(self.positive) == 1 and not self.negative

    @property
    def specs(self) -> dict[str, MethodSpec]:
        """The versions that the search goes by, by method."""
        return {vector.spec.name: vector.spec for vectors in self.positive[0] for vector in vectors}


@dataclass
class SearchTrace:
    """Ids of the records that a search has `seen` and `folded`, and the records that were left to look at."""

    seen: set[int] = field(default_factory=set)
    folded: set[int] = field(default_factory=set)
    remaining: IndexedImageQuerySet | None = None


@dataclass(frozen=True)
class Search:
    """A search that is ready to run.

    `examples` are searched by, each by all its images. Objects of all querysets of `allowed` may come back, the first
    of which is what the visitor may see, but for those with the primary keys `excluded`, and those of owners with the
    keys `excluded_owners`. Where objects have owners, these are taken from the querysets `owners`. `weights` are by
    method.
    """

    source: ImageSource
    examples: Sequence[Sequence[Subject]]
    weights: dict[str, float]
    allowed: list[models.QuerySet[Any]]
    excluded: list[Any]
    limit: int
    min_similarity: float = 0
    unlike: Sequence[Sequence[Subject]] = ()
    owners: Sequence[models.QuerySet[Any]] = ()
    excluded_owners: Sequence[OwnerKey] = ()
    options: SearchOptions = field(default_factory=lambda: SearchOptions(fold=False))

    def run(self) -> ScoredResults:
        """Return the results, best first.

        Raises:
            UnreadableImage: an image to search by can't be read.
            SearchTimeout: describing it took too long.
        """
        query = self.query
        results = self.find(query)
        if len(results) >= self.options.min_matches:
            return results
        fallback = self.options.fallback
        if fallback is None:
            return ScoredResults().as_complete_as(results)
        visible = [
            item
            for item in _saved_objects(self.examples)
            if item in query.items or self.source.contains(self.allowed[0], item)
        ]
        shown = fallback_results(
            self.source, fallback, self.records(visible), self.allowed, self.excluded, self.limit, self.owners
        )
        return ScoredResults(shown).as_complete_as(results)

    @cached_property
    def query(self) -> ResolvedQuery:
        """The query vectors of all examples."""
        if known := self.recollection:
            return ResolvedQuery([known.vectors], [], _saved_objects(self.examples))
        positive = [self._vectors(images, self.options.box) for images in self.examples]
        negative = [self._vectors(images) for images in self.unlike]
        return ResolvedQuery(
            positive=[[vectors for _image, vectors in found] for found in positive if found],
            negative=[[vectors for _image, vectors in found] for found in negative if found],
            items=_saved_objects([[image for image, _vectors in found] for found in positive]),
        )

    def find(self, query: ResolvedQuery, trace: SearchTrace | None = None) -> ScoredResults:
        """Return what is similar to the query, best first."""
        if not query.positive:
            return ScoredResults()
        if self.reranker is None:
            return self._select(query, self.limit, self.min_similarity, self.groupings, trace)
        # Grouped only after re-ranking, because only then is it known which image of an object ranks best.
        candidates = self._select(query, max(self.limit, RERANKERS[self.reranker].candidates), 0, [], trace)
        reranked = self.rerank(query, candidates)
        results = filter_by_similarity(self.min_similarity, reranked)
        for path in self.groupings:
            results = diversity.deduplicate(results, diversity.group_values(self.source, path, results))
        results = ScoredResults(results[: self.limit])
        results.is_complete = reranked.is_complete and candidates.is_complete
        return results

    @property
    def groupings(self) -> list[diversity.GroupPath]:
        """Paths and expressions of whose values each comes back once: that of the owner, and `distinct`."""
        ownership, distinct = self.source.ownership, self.options.distinct
        return [*([ownership.key] if ownership else []), *([distinct] if distinct else [])]

    def _select(
        self,
        query: ResolvedQuery,
        limit: int,
        min_similarity: float,
        groupings: Sequence[diversity.GroupPath],
        trace: SearchTrace | None,
    ) -> ScoredResults:
        """Fetch candidates, score them and fold near-duplicates, in rounds, until the page is full."""
        size = max(limit, diversity.MAX_DIVERSIFIED) if self.options.diversity else limit
        is_complete = True
        results: list[ScoredCandidate] = []
        seen: list[int] = []
        groups: list[dict[str, Any]] = [{} for _path in groupings]
        remaining = None
        while True:
            if self.recollection is not None and not seen:
                scored = ScoredResults(self.recollection.scored)
            else:
                records = self.records(query.items)
                by_path = zip(groupings, groups, strict=True)
                remaining = self.remaining_records(records, seen, by_path) if seen else records
                scored = self.score(query, remaining, size)
            is_complete &= scored.is_complete
            similar = filter_by_similarity(min_similarity, scored)
            unfolded = results = sort_scored([*results, *similar]) if results else similar
            seen += [candidate.candidate.record_id for candidate in scored]
            for path, values in zip(groupings, groups, strict=True):
                values |= diversity.group_values(self.source, path, similar)
                results = diversity.deduplicate(results, values)
            if self.folds:
                query_is_image = self.options.text is None
                results = near_duplicates.group_near_duplicates(
                    self.source, query.specs, results, query_is_image=query_is_image
                )
            if trace is not None:
                trace.folded |= _ids(unfolded) - _ids(results)
            # Where candidates were folded, those of a light method may be below the threshold while unseen ones of the
            # heavy method are above it.
            is_folded = len(query.specs) > 1 and len(results) < len(unfolded)
            is_below = not similar or (len(similar) < len(scored) and not is_folded)
            is_last = len(scored) < size + MIN_OVERFETCH or (query.is_single and is_below)
            if len(results) >= limit or is_last or len(seen) >= MAX_CANDIDATES:
                break
            size = min(size * REFILL_FACTOR, MAX_CANDIDATES)
        if trace is not None:
            trace.seen, trace.remaining = set(seen), remaining
        if self.options.diversity:
            results = self._diversify(query, results)
        selected = ScoredResults(results[:limit])
        selected.is_complete = is_complete or len(selected) == limit
        return selected

    @property
    def folds(self) -> bool:
        """True where near-duplicates are grouped; a search for copies shows each."""
        return self.options.fold and self.reranker != "copy" and conf.get().near_duplicate_threshold <= 100

    @property
    def reranker(self) -> str | None:
        """Name of the entry of RERANKERS by which results are ranked again."""
        return "copy" if self.options.mode == "copy" else self.options.rerank

    def score(self, query: ResolvedQuery, records: models.QuerySet[Any], limit: int) -> ScoredResults:
        """Return the scored candidates for so many matches among records, best first."""
        known = self._neighbor_search(query, limit).recall(records)
        if known is not None:
            return ScoredResults(known)
        pools, is_exact = self._pool_sizes(query, limit), self.options.exact
        rows = search_candidates(self.source, query.vectors, records, pools, limit, is_exact=is_exact)
        scored = ScoredResults(self.score_rows(query, rows))
        scored.is_complete = rows.is_complete
        return scored

    def _pool_sizes(self, query: ResolvedQuery, limit: int) -> dict[str, int]:
        return pool_sizes(query.vectors, self.weights, limit if query.is_single else widened_limit(limit))

    def _neighbor_search(self, query: ResolvedQuery, limit: int) -> NeighborSearch:
        pools = plan_pools(query.vectors, self._pool_sizes(query, limit), limit, is_exact=self.options.exact)
        scorer = Scorer((*self.weights.items(), *query.shape), partial(self.score_rows, query))
        return NeighborSearch(self.source, query.vectors, pools, limit, scorer)

    def score_rows(self, query: ResolvedQuery, rows: Sequence[KnnRow], *, refine: bool = True) -> list[ScoredCandidate]:
        """Score rows of a statement by the query, best first; `refine` as for `candidates.score_rows`."""
        if query.is_single and len(query.positive[0]) == 1:
            return score_rows(query.positive[0][0], rows, self.weights, refine=refine)
        return score_examples(query.positive, query.negative, rows, self.weights, refine=refine)

    def rerank(self, query: ResolvedQuery, results: list[ScoredCandidate]) -> ScoredResults:
        """Rank results again by comparing the images, where the options ask for it."""
        if self.reranker is None:
            return ScoredResults(results)
        return RERANKERS[self.reranker].rerank(self.source, self.examples[0][0], query.positive[0][0], results)

    @cached_property
    def recollection(self) -> Recollection | None:
        """The same search, made before by this process, as far as it still holds; None where nothing is known."""
        options, images = self.options, _saved_objects(self.examples)
        is_other = options.box is not None or options.diversity or self.reranker or self.unlike
        if is_other or len(self.examples) != 1 or not images or len(images) != len(self.examples[0]):
            return None
        query = ImageQuery(self.source, images, [*self.weights])
        try:
            return recollect(query, self._search_by_images, self._conditions)
        except EmptyResultSet:  # nothing may come back
            return None

    def _search_by_images(self, vectors: Sequence[list[QueryVector]]) -> NeighborSearch:
        return self._neighbor_search(ResolvedQuery([vectors], [], []), self.limit)

    def _conditions(self) -> tuple[sql.RecordCondition, sql.RecordCondition]:
        """Return the conditions on records that may be searched by, and that may come back."""
        searchable = sql.searchable_condition(Source.objects.get_id(self.source))
        visible = sql.objects_condition(self.source, self.allowed[0])
        condition, others = self._restrictions(_saved_objects(self.examples))
        restricted = sql.objects_condition(self.source, *self.allowed[1:], *others)
        return searchable.also(visible), condition.also(visible).also(restricted)

    @property
    def freshness(self) -> tuple[str, datetime | None]:
        """The status of the images of the first example, and the last time when one of them was indexed."""
        if self.recollection:
            return self.recollection.freshness
        return IndexedImage.objects.get_freshness(
            self.source, *(image.pk for image in _saved_objects(self.examples[:1]))
        )

    def records(self, items: Iterable[models.Model]) -> IndexedImageQuerySet:
        """Return the records that may come back where these objects are searched by."""
        condition, others = self._restrictions(items)
        return IndexedImage.objects.filter(condition).for_objects(self.source, *self.allowed, *others)

    def _restrictions(self, items: Iterable[models.Model]) -> tuple[sql.RecordCondition, list[models.QuerySet[Any]]]:
        """Return the condition on records that may come back, and the querysets that their objects must be in besides.

        Args:
            items: the objects that are searched by.
        """
        pks, object_id = [item.pk for item in items], self.source.object_id
        excluded, queried = ([object_id(pk) for pk in keys] for keys in (self.excluded, pks))
        condition = sql.searchable_condition(Source.objects.get_id(self.source), excluded, queried)
        if self.options.indexed_before is not None:
            condition = condition.also(sql.RecordCondition("{record}.indexed_at <= %s", [self.options.indexed_before]))
        others = [diversity.exclude_same_group(self.source, pks, path) for path in self.groupings if pks]
        if self.source.ownership and self.excluded_owners:
            path = self.source.ownership.key
            others.append(diversity.exclude_groups(self.source, self.excluded_owners, path))
        return condition, others

    def remaining_records(
        self,
        records: IndexedImageQuerySet,
        seen: list[int],
        groups: Iterable[tuple[diversity.GroupPath, dict[str, Any]]],
    ) -> IndexedImageQuerySet:
        """Return the records that can still be new: not seen, nor the same file, nor of a group that is there."""
        if self.folds:
            files = records.model.objects.filter(pk__in=seen).exclude(sha256="").values("sha256")
            records = records.exclude(sha256__in=files)
        others = [diversity.exclude_groups(self.source, values.values(), path) for path, values in groups]
        return records.for_objects(self.source, *others).exclude(pk__in=seen)

    def _diversify(self, query: ResolvedQuery, results: list[ScoredCandidate]) -> list[ScoredCandidate]:
        ids = [scored.candidate.record_id for scored in results[: diversity.MAX_DIVERSIFIED]]
        similarities = near_duplicates.pair_similarities(self.source, query.specs, ids)
        return diversity.diversify(results, similarities, self.options.diversity)

    def _vectors(self, images: Sequence[Subject], box: Any = None) -> list[tuple[Subject, list[QueryVector]]]:
        """Return the images of an example with their query vectors.

        Images that no method finds detail in, that are not indexed, or that may not be seen, are left out.
        """
        stored = [image for image in images if isinstance(image, models.Model)]
        found: list[tuple[Subject, list[QueryVector]]] = []
        if box is None:
            vectors_of = stored_queries(self.source, stored, self.weights, self.allowed[0])
            keep_vectors(ImageQuery(self.source, stored, [*self.weights]), vectors_of)
            found += vectors_of.items()
        else:
            files = ((image, _read_query_file(self.source, image, self.allowed[0])) for image in stored)
            described = partial(describe_query, box=box, max_pixels=conf.get().max_pixels)  # as when it was indexed
            found += [(image, described(file, self.source, self.weights)) for image, file in files if file]
        given = (image for image in images if not isinstance(image, models.Model))
        found += [(image, describe_query(image, self.source, self.weights, box)) for image in given]
        return [(image, vectors) for image, vectors in found if vectors]


def _saved_objects(examples: Iterable[Iterable[Subject]]) -> list[models.Model]:
    images = (image for images in examples for image in images)
    return [image for image in images if isinstance(image, models.Model) and image.pk is not None]


def _read_query_file(source: ImageSource, item: models.Model, visible: models.QuerySet[Any]) -> bytes:
    """Read the image of an object; empty where it has none, or may not be seen.

    Raises:
        UnreadableImage: it is missing or too large.
        SearchTimeout: the storage does not give it.
    """
    file = getattr(item, source.field_name)
    if not file or not source.contains(visible, item):
        return b""
    try:
        return read_stored(file, max_bytes=conf.get().max_bytes)
    except (decode.UnreadableImage, *decode.INTERRUPTIONS):
        raise
    except Exception as error:  # whatever a storage raises where it is down
        logger.warning("%s", make_printable(f"{file.name} of {source.label} can't be read: {error}"))
        raise SearchTimeout(_("The image can't be read right now. Please try again later.")) from None


def _ids(results: Iterable[ScoredCandidate]) -> set[int]:
    return {scored.candidate.record_id for scored in results}
