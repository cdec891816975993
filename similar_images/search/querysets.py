"""Search in Django's ORM: a queryset of the objects that look like an object or an image, or fit a text, best first."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.models import BooleanField, Expression, F, FloatField, Func, IntegerField, TextField
from django.db.models.sql import Query
from django.utils.functional import cached_property

from .. import conf
from ..imaging.decode import UnreadableImage
from ..imaging.timeouts import SearchTimeout

if TYPE_CHECKING:
    from .candidates import ScoredCandidate, ScoredResults
    from .options import Example
    from .search import Search

    QuerySetBase = models.QuerySet[Any]
else:
    QuerySetBase = object

QUERYSET_LIMIT = 1_000
"""Matches of a queryset where the caller names no limit."""


class SimilarMixin(QuerySetBase):
    """Give a queryset `similar_to`: `class ProductQuerySet(SimilarMixin, models.QuerySet)`."""

    def similar_to(self, query: Example | Iterable[Example] | None = None, **options: Any) -> Self:
        """Return the objects of this queryset that look most like an object or an image, or fit a text, best first.

        They are those of `similar_images.similar_to()` with the same arguments and this queryset, in the same order.
        Each has the annotations `similarity`, in percent with one decimal, and `folded`, the number of near-duplicates
        that it stands for; with a `fallback`, also `is_fallback`.

        The search runs when the result is first needed, once for this queryset and all that are made from it: it can be
        sliced, counted, paged, filtered and used in other queries, and each match comes exactly once, whatever is
        indexed meanwhile. Call `similar_to` again to search again.

        Filters before it take part in the search, which fills up to `limit` whatever they leave. Filters after it
        choose among those matches: ranking all objects would read every signature each time, without an index. The
        limit is 1,000 by default, and bounds the cost of the search.

        Raises:
            TypeError: there is no option of a name.
            ValueError: the object is none of this model; or as `similar_images.similar_to()`.
        """
        return rank_by_similarity(self, query, **options)

    @property
    def is_complete(self) -> bool:
        """False where a search that compares images had no time for all of them, so that matches may be missing.

        It runs the search if it has not run yet; True of a queryset that is not searched.
        """
        similarity = self.query.annotations.get("similarity")
        return not isinstance(similarity, FoundValue) or similarity.found.is_complete


QuerySetClass = TypeVar("QuerySetClass", bound="models.QuerySet[Any]")


def rank_by_similarity(
    objects: QuerySetClass, query: Example | Iterable[Example] | None = None, **options: Any
) -> QuerySetClass:
    """Return those of a queryset's objects that look most like an object or an image, or fit a text, best first.

    It is what `SimilarMixin.similar_to` does, for a queryset of any class.

    Raises:
        TypeError, ValueError: as `SimilarMixin.similar_to`.
    """
    from .. import registry
    from .options import SearchOptions
    from .plan import list_examples, plan_search

    options["limit"] = QUERYSET_LIMIT if options.get("limit") is None else options["limit"]
    source = registry.find_source(objects.model, options.get("field"))
    examples = list_examples(query)
    for example in examples:
        if isinstance(example, models.Model) and not isinstance(example, source.model) and not source.is_owner(example):
            raise ValueError(f"{example!r} is not a {source.model.__name__}, the model of this queryset.")
    options |= {"field": source.field_name, "model": objects.model, "queryset": objects}
    search = plan_search(examples, SearchOptions.from_arguments("similar_to", options))
    return _find_in(objects, QuerysetSearch(search, finds_owners=not issubclass(objects.model, source.model)))


def rank_results(
    results: Any, objects: models.QuerySet[Any], query: Example, request: Any, limit: int
) -> models.QuerySet[Any]:
    """Return what a listing for editors has found, ranked by similarity to an object or an image.

    The search is made at once; an image that can't be read, or not in time, is similar to nothing.

    Args:
        results: a queryset, or the results of a search engine, of which the first 1,000 count.
        objects: the queryset in which the search engine has searched.
        query: the object or image.
        request: that of the editor.
        limit: the number of objects, at most.
    """
    if isinstance(results, models.QuerySet):
        objects = results
    else:
        objects = objects.filter(pk__in=[item.pk for item in results[:QUERYSET_LIMIT]])
    options = {"limit": limit, "fold": False, "min_similarity": conf.get().min_similarity_on("page")}
    try:
        ranked = rank_by_similarity(objects, query, request=request, for_editors=True, **options)
        ranked.exists()
    except (UnreadableImage, SearchTimeout):
        return objects.none()
    return ranked


def _find_in(objects: QuerySetClass, found: QuerysetSearch) -> QuerySetClass:
    source = found.search.source
    if objects.query.distinct_fields or _repeats_objects(objects.query):
        objects = objects.__class__(objects.model, using=objects.db).filter(pk__in=objects.values("pk"))
    unchanged = {} if found.finds_owners else {source.field_name: FoundValue(found, "file", TextField())}
    matches = objects.filter(pk__in=FoundKeys(found), **unchanged)
    matches = matches.annotate(
        similarity=FoundValue(found, "similarity", FloatField()), folded=FoundValue(found, "folded", IntegerField())
    )
    if found.search.options.fallback is not None:
        matches = matches.annotate(is_fallback=FoundValue(found, "is_fallback", BooleanField()))
    return matches.order_by(FoundValue(found, "rank", IntegerField()))


def _repeats_objects(query: Query) -> bool:
    """Tell whether an object may come several times, once for each of the related objects that a filter found."""
    fields = [getattr(join, "join_field", None) for join in query.alias_map.values()]
    return query.group_by is None and not query.distinct and any(getattr(field, "one_to_many", 0) for field in fields)


class SimilarQuerySet(SimilarMixin, models.QuerySet[Any]):
    """A queryset with `similar_to`: `objects = SimilarQuerySet.as_manager()`."""


class QuerysetSearch:
    """The search of a queryset, run once, when a query needs its results."""

    def __init__(self, search: Search, *, finds_owners: bool) -> None:
        self.search = search
        self.finds_owners = finds_owners

    @cached_property
    def results(self) -> ScoredResults:
        """The results of the search, best first."""
        return self.search.run()

    @cached_property
    def is_complete(self) -> bool:
        """False where not all images could be compared."""
        return self.results.is_complete

    @cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        """Rank, similarity and so on of each object that was found, by its primary key as text."""
        keys = self._keys_by_object_id(self.results)
        return {
            keys[scored.candidate.object_id]: {
                "rank": rank,
                "similarity": round(scored.similarity, 1),
                "folded": scored.folded,
                "file": scored.candidate.file_name,
                "is_fallback": not scored.scores,
            }
            for rank, scored in enumerate(self.results)
            if scored.candidate.object_id in keys
        }

    def _keys_by_object_id(self, results: list[ScoredCandidate]) -> dict[str, str]:
        """Return the keys of the queryset's objects, which may be the owners of the images, by object id."""
        source = self.search.source
        files = {scored.candidate.object_id: scored.candidate.file_name for scored in results}
        if not self.finds_owners:
            return {object_id: object_id for object_id in files}
        images = source.current_objects(self.search.allowed[0], files)
        owners = source.load_results(images.values(), self.search.owners)
        return {object_id: str(owners[image.pk].pk) for object_id, image in images.items() if image.pk in owners}

    @cached_property
    def text(self) -> str:
        """The rows as JSON."""
        return json.dumps(self.rows)

    def __getstate__(self) -> dict[str, Any]:
        """Keep only the results in a pickled queryset: the search itself may not be picklable, or be large."""
        return {"rows": self.rows, "is_complete": self.is_complete}


class FoundKeys(Expression):
    """The primary keys of the objects that were found, as the right side of IN."""

    def __init__(self, found: QuerysetSearch) -> None:
        super().__init__(output_field=TextField())
        self.found = found

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        """Return the SQL; running the search for it, if it has not run yet."""
        keys = tuple(self.found.rows)
        if not keys:
            raise EmptyResultSet
        return f"({', '.join(['%s'] * len(keys))})", keys


class FoundValue(Func):
    """A value of `QuerysetSearch.rows` of an object, such as its rank or similarity."""

    def __init__(self, found: QuerysetSearch, name: str, output_field: models.Field[Any, Any]) -> None:
        super().__init__(F("pk"), output_field=output_field)
        self.found, self.name = found, name

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **extra: Any) -> tuple[str, tuple[str | int, ...]]:
        """Return the SQL; running the search for it, if it has not run yet."""
        key, parameters = compiler.compile(self.source_expressions[0])
        db_type = self.output_field.db_type(connection)
        return f"(%s::jsonb -> ({key})::text ->> '{self.name}')::{db_type}", (self.found.text, *parameters)
