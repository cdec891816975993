"""The feed of a search backend: it makes the copies of versions there what PostgreSQL has.

One at a time writes to the backend, in batches: it reads what is stored of some records and has the backend keep just
that. What a batch was about is crossed off in the same transaction, after the backend has answered; so a process that
is killed leaves nothing undone that is not done again, which changes nothing.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import OperationalError, connections, transaction
from django.utils import timezone

from .. import plugins
from ..backends.attributes import encode_columns, filtered_fields
from ..backends.base import BackendError, Collection, Scalar, SearchBackend, StoredVector
from ..models import BackendChange, IndexedImage, MethodVersion, current_schema, write_alias
from ..signatures import storage
from . import versions

logger = logging.getLogger("similar_images")

FEED_CHUNK = 500
"""Records in a batch: of 1,280 dimensions each, 2.6 MB."""

NOT_BEGUN = -1
"""Cursor of a copy of which it is not sure that all changes are noted: it has to be begun again."""

FEED_LOCK_TIMEOUT = "5s"
"""Time to wait for another process that feeds the backend, which takes over what is left."""


def collection_of(version: MethodVersion) -> Collection:
    """Return the copy of a version, which has a name of its own in each tenant's schema."""
    schema = re.sub(r"\W", "_", current_schema(None))
    name = "_".join(filter(None, ["similar_images", schema, str(version.source_id), str(version.pk)]))
    return Collection(name, version.dimensions, version.metric)


def fill(backend: SearchBackend, version: MethodVersion) -> Iterator[int]:
    """Copy the signatures of a version that the backend lacks; yield the number in every batch.

    It goes on where it ended, in this process or another; `backend_copies.begin_fill` begins.

    Raises:
        BackendError: the backend does not answer.
    """
    while True:
        with feeding():
            row = MethodVersion.primary.get(pk=version.pk)
            if row.backend_cursor in (None, NOT_BEGUN) or row.backend_filled_at is not None:
                return
            rest = versions.signatures_of(row).filter(record_id__gt=row.backend_cursor).order_by("record_id")
            ids = list(rest.values_list("record_id", flat=True)[:FEED_CHUNK])
            if ids:
                write_records(backend, row, ids)
                MethodVersion.primary.filter(pk=row.pk).update(backend_cursor=ids[-1])
            else:
                backend.finish(collection_of(row))
                MethodVersion.primary.filter(pk=row.pk).update(backend_filled_at=timezone.now())
        if ids:
            yield len(ids)


def feed_changes(backend: SearchBackend) -> Iterator[int]:
    """Tell the backend of all changes that wait; yield the number in every batch.

    Raises:
        BackendError: the backend does not answer; the changes wait on.
    """
    while BackendChange.primary.exists():
        with feeding():
            changes = list(BackendChange.primary.order_by("pk")[:FEED_CHUNK])
            records: dict[int, list[int]] = defaultdict(list)
            for change in changes:
                records[change.version_id].append(change.record_id)
            for version in MethodVersion.primary.filter(pk__in=list(records), backend_cursor__isnull=False):
                write_records(backend, version, sorted(set(records[version.pk])))
            BackendChange.primary.filter(pk__in=[change.pk for change in changes]).delete()
        yield len(changes)


def write_records(backend: SearchBackend, version: MethodVersion, record_ids: Sequence[int]) -> None:
    """Have the copy of a version hold of these records what is stored, and nothing of those without a signature."""
    rows = versions.signatures_of(version).filter(record_id__in=record_ids, low_detail=False)
    vectors = dict(rows.values_list("record_id", storage.quick_column(version)))
    attributes = _read_attributes(version, list(vectors))
    entries = [
        StoredVector(record_id, storage.unpack(value), attributes.get(record_id, {}))
        for record_id, value in vectors.items()
    ]
    backend.write(collection_of(version), entries, [pk for pk in record_ids if pk not in vectors])


def _read_attributes(version: MethodVersion, record_ids: Sequence[int]) -> dict[int, dict[str, Scalar]]:
    """Return the attributes of the records' objects."""
    source = version.source.image_source
    fields = filtered_fields(source) if source else {}
    if source is None or not fields:
        return {}
    objects = dict(IndexedImage.primary.filter(pk__in=record_ids).values_list("object_id", "pk"))
    names = [field.attname for field in fields.values()]
    rows = source.objects.using(write_alias()).filter(pk__in=list(objects)).values_list("pk", *names)
    return {objects[source.object_id(pk)]: encode_columns(fields, values) for pk, *values in rows}


@contextmanager
def feeding() -> Iterator[None]:
    """Be the only one that writes to the backend, in a transaction.

    Raises:
        OperationalError: another process has been doing so for longer than the `FEED_LOCK_TIMEOUT`.
    """
    using = write_alias()
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [FEED_LOCK_TIMEOUT])
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('similar_images_backend'), hashtext(current_schema()))")
        yield


def feed_quietly() -> None:
    """Tell the backend, if there is one, of the changes that wait; what fails is logged and tried again by sweeps."""
    backend = plugins.search_backend()
    if backend is None:
        return
    try:
        for _size in feed_changes(backend):
            pass
    except (BackendError, OperationalError) as error:
        logger.warning("The search backend lags behind, as it could not be told of changes: %s", error)
