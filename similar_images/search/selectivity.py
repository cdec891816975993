"""Selectivity: whether filters leave so few records that comparing each is quicker than walking the HNSW graph.

A walk visits records from the nearest on until enough of them have passed the filters: the fewer these leave, the more
it visits. To compare each record that is left takes the longer, the more there are. Where both take as long is a
matter of the number of records: 3.3% of 200,000, and 1.5% of a million, for one method and a page of 12.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db import models
from django.db.backends.utils import CursorWrapper
from django.db.models.sql.query import Query

from ..models import IndexedImage
from . import sql

VISIT_COST = 2.7
"""Cost of visiting a record in the graph and looking whether it may come back, by that of comparing one by its id.

Measured on 2026-11-28 as the processor time of PostgreSQL on 200,000 records through filters that leave 1 to 10%:
28 µs to 10.5 µs.
"""

PROBE_SIZE = 100
"""Records nearest to the query, of which filters that have nothing to do with similarity leave as large a share."""

MIN_PROBED_SHARE = 0.25
"""Share of the nearest records that filters leave, by that of all, from which on a walk finds its way."""


class Selectivity(NamedTuple):
    """The numbers of records that filters leave, and of those of the source, by the planner's estimates: 1 at least."""

    allowed: float
    every: float

    def leaves_few(self, pool_sizes: Mapping[str, int]) -> bool:
        """Tell whether comparing each record is quicker than walking the graphs of methods for so many candidates."""
        pools = [size for size in pool_sizes.values() if size]
        visited = sum(pools) * self.every / self.allowed
        return self.allowed * len(pools) <= VISIT_COST * visited


def has_filter(records: models.QuerySet[IndexedImage]) -> bool:
    """Tell whether records are restricted to some of the objects of their source."""
    subqueries = (getattr(child, "rhs", None) for child in records.query.where.children)
    return any(isinstance(query, Query) and (query.where or query.is_sliced) for query in subqueries)


def estimate_selectivity(
    cursor: CursorWrapper, source_id: int, records: models.QuerySet[IndexedImage]
) -> Selectivity | None:
    """Ask the planner how many records filters leave; None where there is no filter.

    Args:
        cursor: a cursor.
        source_id: id of the source.
        records: the records that may come back.

    Raises:
        EmptyResultSet: `records` can hold nothing.
    """
    if not has_filter(records):
        return None
    cursor.execute(*sql.estimate_sql(source_id, records))
    (found,) = cursor.fetchone()
    (plan,) = json.loads(found) if isinstance(found, str) else found
    rows: dict[str, Any] = {node.get("Subplan Name"): node["Plan Rows"] for node in plan["Plan"]["Plans"]}
    return Selectivity(max(rows["CTE allowed"], 1), max(rows["CTE every"], 1))


def is_correlated(
    cursor: CursorWrapper,
    source_id: int,
    operand: sql.VectorOperand,
    records: models.QuerySet[IndexedImage],
    selectivity: Selectivity,
) -> bool:
    """Tell whether filters hide what is nearest to an operand more than they hide anything else.

    Raises:
        EmptyResultSet: `records` can hold nothing.
    """
    cursor.execute(*sql.probe_sql(source_id, operand, records, PROBE_SIZE))
    expected = PROBE_SIZE * selectivity.allowed / selectivity.every
    return bool(cursor.fetchone()[0] < MIN_PROBED_SHARE * expected)
