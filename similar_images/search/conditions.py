"""Conditions on records in SQL: which may come back, whoever may see their objects, and those of objects."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, Self

from django.db import models, router
from django.db.models import Expression
from django.db.models.functions import Cast

from ..models import IndexedImage, Mark, ReindexRequest, Signature
from ..sources.source import ImageSource

MARKS, RECORDS, REINDEX_REQUESTS = (model._meta.db_table for model in (Mark, IndexedImage, ReindexRequest))


class RecordCondition(Expression):
    """A condition on records in SQL, which the ORM takes as it is: filter by filter, it takes longer to compose.

    `{record}` stands for the table of the records.
    """

    conditional = True
    output_field: Any = models.BooleanField()

    def __init__(self, template: str, parameters: Sequence[Any]) -> None:
        super().__init__()
        self.template = template
        self.parameters = list(parameters)
        self.alias = RECORDS

    def also(self, other: RecordCondition) -> RecordCondition:
        """Return the condition that both hold."""
        return RecordCondition(f"{self.template} AND {other.template}", [*self.parameters, *other.parameters])

    def on(self, table: str) -> str:
        """Return the SQL of the condition on a table, or on an alias of it."""
        return f"({self.template.format(record=table)})"

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """Return the SQL and its parameters."""
        return self.on(connection.ops.quote_name(self.alias)), self.parameters

    def resolve_expression(self, *args: Any, **kwargs: Any) -> Self:
        """Return itself: no name is left to look up."""
        return self

    def relabeled_clone(self, change_map: Mapping[str, str]) -> Self:
        """Return the condition on the table under another alias."""
        clone = copy(self)
        clone.alias = change_map.get(self.alias, self.alias)
        return clone


def searchable_condition(
    source_id: int, excluded: Collection[str] = (), queried: Collection[str] = ()
) -> RecordCondition:
    """Return the condition on records that they may come back, whoever may see their objects.

    Args:
        source_id: id of the source.
        excluded: ids of objects that must not come back.
        queried: ids of objects that are searched by; those marked as not alike with one stay out.
    """
    condition = RecordCondition("{record}.source_id = %s", [source_id]).also(unrequested_condition(source_id))
    if excluded:
        condition = condition.also(RecordCondition("{record}.object_id <> ALL(%s)", [list(excluded)]))
    return condition.also(unmarked_condition(source_id, queried)) if queried else condition


def file_condition(files: Mapping[str, str]) -> RecordCondition:
    """Return the condition on records that they are of these files, by object id."""
    pairs = "SELECT * FROM unnest(%s::text[], %s::text[])"
    template = f"({{record}}.object_id, {{record}}.file_name) IN ({pairs})"
    return RecordCondition(template, [list(files), [*files.values()]])


def id_condition(record_ids: Iterable[int]) -> RecordCondition:
    """Return the condition on records that they have one of these ids, written as Postgres reads an array."""
    return RecordCondition("{record}.id = ANY(%s::bigint[])", [f"{{{','.join(map(str, record_ids))}}}"])


def objects_condition(source: ImageSource, *querysets: models.QuerySet[Any]) -> RecordCondition:
    """Return the condition on records that their objects are in all of these querysets of the source's model.

    It is that of `IndexedImageQuerySet.for_objects`.

    Raises:
        EmptyResultSet: one can hold nothing.
    """
    column = "object_key" if source.has_integer_key else "object_id"
    alias = router.db_for_read(Signature)
    templates, parameters = [], []
    for objects in map(source.as_filterable, querysets):
        key = "pk" if source.has_integer_key else Cast("pk", models.CharField())
        query = objects.using(None).order_by().values_list(key).query
        sql, own = query.get_compiler(alias).as_sql()
        templates.append(f"{{record}}.{column} IN ({sql.replace('{', '{{').replace('}', '}}')})")
        parameters += own
    return RecordCondition(" AND ".join(templates) or "true", parameters)


def unmarked_condition(source_id: int, object_ids: Collection[str]) -> RecordCondition:
    """Return the condition on records that their objects are not marked as not alike with any of these."""
    of_source = f"FROM {MARKS} WHERE source_id = %s AND NOT is_alike"
    marked = (
        f"SELECT second_id {of_source} AND first_id = ANY(%s) UNION ALL "
        f"SELECT first_id {of_source} AND second_id = ANY(%s)"
    )
    return _not_among("object_id", marked, [source_id, list(object_ids)] * 2)


def unrequested_condition(source_id: int) -> RecordCondition:
    """Return the condition on records that no request to look at their files anew waits: they may be out of date."""
    objects = f"SELECT object_id FROM {REINDEX_REQUESTS} WHERE source_id = %s"
    files = f"SELECT file_name FROM {REINDEX_REQUESTS} WHERE file_name <> ''"
    return _not_among("object_id", objects, [source_id]).also(_not_among("file_name", files, []))


def _not_among(column: str, texts: str, parameters: list[Any]) -> RecordCondition:
    """Return the condition on records that a column is not among the texts of a statement.

    They are made the keys of a JSON object, in which one is found without looking at all. Of NOT IN, Postgres assumes
    that it leaves out half of all records, and uses no index for the rest; of an array, it looks at every element.
    """
    keys = f"coalesce((SELECT jsonb_object_agg(text, 1) FROM ({texts}) AS found (text)), '{{{{}}}}')"
    return RecordCondition(f"NOT ({keys} ? {{record}}.{column})", parameters)
