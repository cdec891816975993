"""Sources that are no longer registered, as a field was renamed, say, or a call of `register()` removed.

No search finds their records and no sweep looks at them. They stay until they are pruned on command: they come back
with the registration, and a mark is the work of an editor.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..models import IndexedImage, Mark, Source


def unregistered_sources() -> list[Source]:
    """Return the rows of the sources that are not registered."""
    return [row for row in Source.objects.order_by("app_label", "model", "field") if row.image_source is None]


def prune_unregistered() -> Iterator[tuple[Source, int, int]]:
    """Delete all that is stored for unregistered sources; yield each with the numbers of its records and marks.

    Records that another transaction has locked, and their sources, are left to the next time.
    """
    for row in unregistered_sources():
        records, marks = IndexedImage.primary.filter(source=row), Mark.primary.filter(source=row)
        mark_count = marks.count()
        record_count = records.remove()
        mark_count -= marks.count()
        if not records.exists():
            row.delete()
        yield row, record_count, mark_count
