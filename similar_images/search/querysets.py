"""Search as part of Django's ORM: a queryset of what looks like an object, a picture or a text, best first."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, Unpack

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.models import BooleanField, Expression, F, FloatField, Func, IntegerField, TextField
from django.db.models.sql import Query

if TYPE_CHECKING:
    from .plan import Example, Options, Search

    Base = models.QuerySet[Any]
else:
    Base = object

QUERYSET_LIMIT = 1_000
"""Matches of a queryset where the caller names no limit."""


class SimilarMixin(Base):
    """Gives a queryset `similar_to`: `class ProductQuerySet(SimilarMixin, models.QuerySet)`."""

    def similar_to(
        self,
        query: Example | Iterable[Example] | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """The objects of this queryset that look most like an object or a picture, or fit a text, best first.

        Those of `similar_images.similar_to()` with the same arguments and this queryset, in the same order. Each has
        its `similarity`, in percent with one decimal, and `folded`, the number of near copies that it stands for, which
        can be filtered and ordered by as any annotation. With a `fallback`, it has `is_fallback`, too.

        The search runs when the result is first needed, once for this queryset and all that are made from it: it can be
        sliced, counted, paged, filtered and used in other queries, and each match comes exactly once, whatever is
        indexed meanwhile. Call `similar_to` anew to search anew.

        What is filtered before is filtered in the search, which fills up to `limit` whatever the filters leave. What
        is filtered after chooses among those: all objects could only be ranked by reading every signature each time,
        without an index. That is the price of a limit; it is 1,000 by default, and bounds the cost of the search.

        Raises:
            ValueError: the object is none of this model; or as `similar_images.similar_to()`.
        """
        from .. import registry
        from . import plan

        source = registry.get_source(self.model, options.get("field"))
        examples = plan.examples_of(query)
        for example in examples:
            if isinstance(example, models.Model) and not isinstance(example, source.model):
                raise ValueError(f"{example!r} is not a {source.model.__name__}, which this queryset is of.")
        fallback = options.get("fallback")
        limit = QUERYSET_LIMIT if options.get("limit") is None else options["limit"]
        options = {**options, "limit": limit, "field": source.field_name}
        found = QuerysetSearch(plan.plan(examples, model=self.model, queryset=self, **options))
        objects = self
        if self.query.distinct_fields or _repeats(self.query):
            objects = self.__class__(self.model, using=self.db).filter(pk__in=self.values("pk"))
        unchanged = {source.field_name: FoundValue(found, "file", TextField())}
        matches = objects.filter(pk__in=FoundKeys(found), **unchanged)
        matches = matches.annotate(
            similarity=FoundValue(found, "similarity", FloatField()), folded=FoundValue(found, "folded", IntegerField())
        )
        if fallback is not None:
            matches = matches.annotate(is_fallback=FoundValue(found, "is_fallback", BooleanField()))
        return matches.order_by(FoundValue(found, "place", IntegerField()))


def _repeats(query: Query) -> bool:
    """Whether an object may come several times, for each of the related objects that a filter found."""
    fields = [getattr(join, "join_field", None) for join in query.alias_map.values()]
    return query.group_by is None and not query.distinct and any(getattr(field, "one_to_many", 0) for field in fields)


class SimilarQuerySet(SimilarMixin, models.QuerySet[Any]):
    """A queryset with `similar_to`: `objects = SimilarQuerySet.as_manager()`."""


class QuerysetSearch:
    """What a search found, once it had to be run."""

    def __init__(self, search: Search) -> None:
        self.search = search

    @cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        """What is told of each object, by its id as records hold it."""
        return {
            one.candidate.object_id: {
                "place": place,
                "similarity": round(one.similarity, 1),
                "folded": one.folded,
                "file": one.candidate.file_name,
                "is_fallback": not one.scores,
            }
            for place, one in enumerate(self.search.run())
        }

    @cached_property
    def text(self) -> str:
        return json.dumps(self.rows)

    def __getstate__(self) -> dict[str, Any]:
        """A pickled queryset has its results; what it was made of may not go into a pickle, or be very much."""
        return {"rows": self.rows}


class FoundKeys(Expression):
    """The primary keys of the objects that were found, as the right side of IN."""

    def __init__(self, found: QuerysetSearch) -> None:
        super().__init__(output_field=TextField())
        self.found = found

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        keys = tuple(self.found.rows)
        if not keys:
            raise EmptyResultSet
        return f"({', '.join(['%s'] * len(keys))})", keys


class FoundValue(Func):
    """What the search told of an object: its place, similarity or file."""

    def __init__(self, found: QuerysetSearch, what: str, output_field: models.Field[Any, Any]) -> None:
        super().__init__(F("pk"), output_field=output_field)
        self.found, self.what = found, what

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **extra: Any) -> tuple[str, tuple[str | int, ...]]:
        key, parameters = compiler.compile(self.source_expressions[0])
        kind = self.output_field.db_type(connection)
        return f"(%s::jsonb -> ({key})::text ->> '{self.what}')::{kind}", (self.found.text, *parameters)
