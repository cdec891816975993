"""Requests to look at files anew: made before a file is overwritten under its own name, taken by workers."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Collection
from contextlib import nullcontext
from datetime import datetime, timedelta
from threading import Thread
from typing import Any

from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from .. import conf
from ..models import WRITE_CHUNK, IndexedImage, ReindexRequest, Source, write_alias
from ..sources.source import ImageSource
from . import outbox

RETRY_SECONDS = 1
"""Seconds between two attempts to insert requests while no connection is free."""

logger = logging.getLogger("similar_images")


def request_before_write(file: FieldFile, name: str) -> list[ReindexRequest]:
    """Request the reindexing of all objects that have a file of this name, if the storage is about to overwrite it.

    The request is committed at once, whatever becomes of the caller's transaction: the storage knows no rollback. It
    hides the objects from searches, and is due when `set_due` is called; if the process dies before, after
    CLAIM_TIMEOUT.

    Returns:
        The request; none where the name is a new one.

    Raises:
        DatabaseError: the connection is lost, so that the object can't be saved either. Writing its file before that
            came out would change the bytes of all objects that have it, and nobody would know.
    """
    using = write_alias()
    if not Source.objects.has_table():
        return []
    max_length = file.field.max_length
    if max_length and len(name) > max_length:  # the storage will shorten it
        name = _get_available_name(file, name)
    if not _is_known(name, using) or _get_available_name(file, name) != name:
        return []
    due_at = timezone.now() + timedelta(seconds=conf.get().claim_timeout)
    request = ReindexRequest(file_name=name, due_at=due_at)
    _insert_at_once(request, using)
    return [request]


def _is_known(name: str, using: str) -> bool:
    """Tell whether a record has a file of this name; False if that can't be found out.

    Raises:
        DatabaseError: the connection is lost.
    """
    connection = connections[using]
    try:
        # In a transaction, by a savepoint, as an error would end that of the caller.
        with transaction.atomic(using=using) if connection.in_atomic_block else nullcontext():
            return _has_record(name, using)
    except DatabaseError as error:
        if not _is_connected(connection):
            raise
        logger.warning("Whether a file is overwritten can't be found out: %s", error)
        return False


def _has_record(name: str, using: str) -> bool:
    table = connections[using].ops.quote_name(IndexedImage._meta.db_table)
    with connections[using].cursor() as cursor:  # an upload waits for it, and a queryset takes twice as long
        cursor.execute(f"SELECT EXISTS (SELECT FROM {table} WHERE file_name = %s)", [name])
        return bool(cursor.fetchone()[0])


def _is_connected(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the connection that gave an error still stands, without a query, which could end a transaction."""
    return connection.connection is not None and not connection.connection.closed


def _get_available_name(file: FieldFile, name: str) -> str:
    try:
        return file.storage.get_available_name(name, max_length=file.field.max_length)
    except Exception:  # whatever a storage raises; it will do so again, for the caller, when it writes the file
        return name


def _insert_at_once(request: ReindexRequest, using: str) -> None:
    """Insert a request and commit it, on a connection of its own where the caller is in a transaction."""
    connection = connections[using]
    if not connection.in_atomic_block or is_in_test_case(connection):
        request.save(using=using)
        return
    schema = getattr(connection, "schema_name", None)
    try:
        request.pk = _insert_apart(request.file_name, request.due_at, using, schema)
    except DatabaseError as error:
        logger.warning("A file is overwritten in a transaction, and no other connection is free: %s", error)
        request.save(using=using)  # is lost if the transaction is rolled back
        Thread(target=_insert_later, args=(request.file_name, request.due_at, using, schema), daemon=True).start()


def _insert_apart(file_name: str, due_at: datetime, using: str, schema: str | None) -> int:
    """Insert a request on a connection of its own, and return its key.

    Raises:
        DatabaseError: there is none to be had.
    """
    other = connections.create_connection(using)
    try:
        if schema:  # a tenant's; see tenants.py
            other.set_schema(schema)  # type: ignore[attr-defined]  # of django-tenants' connections
        with other.cursor() as cursor:
            cursor.execute(
                "INSERT INTO similar_images_reindexrequest (file_name, due_at) VALUES (%s, %s) RETURNING id",
                [file_name, due_at],
            )
            return int(cursor.fetchone()[0])
    finally:
        other.close()


def _insert_later(file_name: str, due_at: datetime, using: str, schema: str | None) -> None:
    """Insert a request once more as soon as a connection is free: the transaction may have been rolled back."""
    end = time.monotonic() + conf.get().claim_timeout
    while time.monotonic() < end:
        try:
            _insert_apart(file_name, due_at, using, schema)
        except DatabaseError:
            time.sleep(RETRY_SECONDS)
        else:
            return
    logger.error("A file was overwritten, and no connection was free: its record may be out of date.")


def is_in_test_case(connection: Any) -> bool:
    """Tell whether the outermost transaction is that of a TestCase, in which nothing is ever committed."""
    return bool(connection.atomic_blocks and connection.atomic_blocks[0]._from_testcase)


def set_due(made: Collection[ReindexRequest]) -> None:
    """Let workers take these requests now that the files have been written."""
    if not made:
        return
    now = timezone.now()
    updated = ReindexRequest.primary.filter(pk__in=[request.pk for request in made]).update(due_at=now)
    if updated < len(made):  # taken after CLAIM_TIMEOUT, perhaps before the file was written
        for request in made:
            request.pk, request.due_at = None, now
        ReindexRequest.primary.bulk_create(made)


def take_requests() -> int:
    """Bring the records of all objects with a due request up to date, and return the number of requests taken.

    Objects that are just being saved are left for the next time.
    """
    using, taken, last = write_alias(), 0, 0
    while True:
        with transaction.atomic(using=using):
            due = ReindexRequest.primary.filter(due_at__lte=timezone.now(), pk__gt=last).order_by("pk")
            made = list(due.select_for_update(skip_locked=True, of=("self",))[:WRITE_CHUNK])
            if not made:
                return taken
            done = _bring_up_to_date(made, using)
            ReindexRequest.primary.filter(pk__in=done).delete()
        taken += len(done)
        last = made[-1].pk


def _bring_up_to_date(made: list[ReindexRequest], using: str) -> list[int]:
    """Request the indexing of the objects of these requests; return the ids of those that are done with."""
    by_name: dict[str, set[int]] = defaultdict(set)
    by_object: dict[int, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for request in made:
        if request.source_id is None:
            by_name[request.file_name].add(request.pk)
        else:
            by_object[request.source_id][request.object_id].add(request.pk)
    # Of a file, now: objects may have been given it, and been indexed, after the request and before it was written.
    records = IndexedImage.primary.filter(file_name__in=by_name)
    for source_id, object_id, name in records.values_list("source_id", "object_id", "file_name"):
        by_object[source_id][object_id] |= by_name[name]
    sources = {row.pk: row.image_source for row in Source.objects.filter(pk__in=by_object)}
    locked: set[int] = set()
    for source_id, requests in by_object.items():
        if source := sources.get(source_id):
            files = _lock_files(source, list(requests), using)
            outbox.set_files(source, files, is_rewritten=True)
            locked.update(*(ids for key, ids in requests.items() if key not in files))
    return [request.pk for request in made if request.pk not in locked]


def _lock_files(source: ImageSource, object_ids: list[str], using: str) -> dict[str, str]:
    """Return the file names of these objects, empty for those that are gone, without those that others have locked."""
    objects = source.objects.using(using).filter(pk__in=object_ids)
    unlocked = objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
    files = {source.object_id(pk): name or "" for pk, name in unlocked.values_list("pk", source.field_name)}
    existing = {source.object_id(pk) for pk in objects.values_list("pk", flat=True)}
    return files | {key: "" for key in object_ids if key not in existing}
