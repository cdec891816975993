"""Requests to look at files anew: made before a file is overwritten under its own name, taken by workers."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Collection
from datetime import timedelta
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

    The requests are committed at once, whatever becomes of the caller's transaction: the storage knows no rollback.
    They hide the objects from searches, and are due when `set_due` is called; if the process dies before, after
    CLAIM_TIMEOUT.

    Returns:
        The requests; none where the name is a new one.

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
    objects = _find_objects(name, using)
    if not objects or _get_available_name(file, name) != name:
        return []
    due_at = timezone.now() + timedelta(seconds=conf.get().claim_timeout)
    made = [
        ReindexRequest(source_id=source_id, object_id=key, file_name=name, due_at=due_at) for source_id, key in objects
    ]
    _insert_at_once(made, using)
    return made


def _find_objects(name: str, using: str) -> list[tuple[int, str]]:
    """Return source and object id of all records with a file of this name; none if that can't be found out.

    Raises:
        DatabaseError: the connection is lost.
    """
    records = IndexedImage.primary.filter(file_name=name).values_list("source_id", "object_id")
    connection = connections[using]
    try:
        if not connection.in_atomic_block:
            return list(records)
        with transaction.atomic(using=using):  # a savepoint, as an error would end the caller's transaction
            return list(records)
    except DatabaseError as error:
        if not _is_connected(connection):
            raise
        logger.warning("Whether a file is overwritten can't be found out: %s", error)
        return []


def _is_connected(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the connection that gave an error still stands, without a query, which could end a transaction."""
    return connection.connection is not None and not connection.connection.closed


def _get_available_name(file: FieldFile, name: str) -> str:
    try:
        return file.storage.get_available_name(name, max_length=file.field.max_length)
    except Exception:  # whatever a storage raises; it will do so again, for the caller, when it writes the file
        return name


def _insert_at_once(made: list[ReindexRequest], using: str) -> None:
    """Insert requests and commit them, on a connection of its own where the caller is in a transaction."""
    connection = connections[using]
    if not connection.in_atomic_block or _is_in_test_case(connection):
        ReindexRequest.primary.bulk_create(made)
        return
    schema = getattr(connection, "schema_name", None)
    try:
        _insert_apart(made, using, schema)
    except DatabaseError as error:
        logger.warning("A file is overwritten in a transaction, and no other connection is free: %s", error)
        for request in made:
            request.pk = None
        ReindexRequest.primary.bulk_create(made)  # is lost if the transaction is rolled back
        Thread(target=_insert_later, args=(list(made), using, schema), daemon=True).start()


def _insert_apart(made: Collection[ReindexRequest], using: str, schema: str | None) -> None:
    """Insert requests on a connection of their own.

    Raises:
        DatabaseError: there is none to be had.
    """
    other = connections.create_connection(using)
    try:
        if schema:  # a tenant's; see tenants.py
            other.set_schema(schema)  # type: ignore[attr-defined]  # of django-tenants' connections
        with other.cursor() as cursor:
            for request in made:
                cursor.execute(
                    "INSERT INTO similar_images_reindexrequest (source_id, object_id, file_name, due_at) "
                    "VALUES (%s, %s, %s, %s) RETURNING id",
                    [request.source_id, request.object_id, request.file_name, request.due_at],
                )
                (request.pk,) = cursor.fetchone()
    finally:
        other.close()


def _insert_later(made: list[ReindexRequest], using: str, schema: str | None) -> None:
    """Insert requests once more as soon as a connection is free: the transaction may have been rolled back."""
    copies = [
        ReindexRequest(source_id=r.source_id, object_id=r.object_id, file_name=r.file_name, due_at=r.due_at)
        for r in made
    ]
    end = time.monotonic() + conf.get().claim_timeout
    while time.monotonic() < end:
        try:
            _insert_apart(copies, using, schema)
        except DatabaseError:
            time.sleep(RETRY_SECONDS)
        else:
            return
    logger.error("A file was overwritten, and no connection was free: its record may be out of date.")


def _is_in_test_case(connection: Any) -> bool:
    """Tell whether the outermost transaction is that of a TestCase, in which nothing is ever committed."""
    return bool(connection.atomic_blocks and connection.atomic_blocks[0]._from_testcase)


def set_due(made: Collection[ReindexRequest]) -> None:
    """Let workers take these requests now that the files have been written."""
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
        by_object[request.source_id][request.object_id].add(request.pk)
        if request.file_name:
            by_name[request.file_name].add(request.pk)
    # Other objects may have been given the file, and been indexed, after the request and before the file was written.
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
