"""Deletion of the signatures of versions that nothing is searched by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db.models import Q

from .. import plugins
from ..models import MethodVersion, Projection, Signature, Source
from ..sources.source import ImageSource
from . import versions


def prune_versions(sources: Iterable[ImageSource]) -> Iterator[int]:
    """Delete the signatures that are neither active nor configured; yield the number in every chunk.

    The base version of a projection is kept, as the next projection is learned from it.
    """
    for source in sources:
        source_id = Source.objects.get_id(source)
        methods = (*plugins.stored_methods().values(), *versions.configured_methods(source).values())
        current = {(method.name, method.version) for method in methods}
        for row in MethodVersion.primary.filter(source_id=source_id):
            # Delete the row before its signatures, so that no version that is being deleted can be activated.
            if (row.name, row.version) not in current:
                unused = Q(is_active=False, is_chosen=False) | ~Q(name__in=plugins.stored_methods())
                if row.name in plugins.stored_methods():  # means are being computed, or deleted, by sweeps
                    unused &= ~Q(projection__learned_from__has_key=Projection.FROM_ALL_IMAGES)
                MethodVersion.primary.filter(unused, pk=row.pk).delete()
        known = current | set(MethodVersion.primary.filter(source_id=source_id).values_list("name", "version"))
        rows = Signature.primary.filter(source_id=source_id)
        for name, version in rows.values_list("method", "version").distinct().order_by():
            if (name, version) not in known:
                yield from versions.delete_in_chunks(rows.filter(method=name, version=version))
    Projection.primary.filter(version=None).delete()
