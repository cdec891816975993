"""Notices of the triggers: they tell the process whose statement it was that records are due for indexing.

So no save has to ask, and statements without signals, such as `update()`, are noticed, too. Where a host has its
connections tell of warnings only (`client_min_messages`), records wait for the sweep.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, ref

from django.db.backends.base.base import BaseDatabaseWrapper

from ..models import write_alias
from . import notify, requests

SQLSTATE = "SI001"
"""Code of the notice, in trigger.sql."""

_TOLD_ATTR = "_similar_images_due"
"""Attribute of a connection of which a statement has made records due: whether that was in a transaction."""

_handlers: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""The handler of each connection of psycopg; one of a pool serves many of Django."""


def listen(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Listen to the notices of a connection, if it is one that records are written by."""
    psycopg_connection: Any = connection.connection
    if connection.vendor != "postgresql":
        return
    if former := _handlers.pop(psycopg_connection, None):
        psycopg_connection.remove_notice_handler(former)
    if connection.alias == write_alias():
        handler = partial(_on_notice, ref(connection))
        psycopg_connection.add_notice_handler(handler)
        _handlers[psycopg_connection] = handler


def _on_notice(connection_ref: ref[BaseDatabaseWrapper], diagnostic: Any) -> None:
    connection = connection_ref()
    if connection is None or diagnostic.sqlstate != SQLSTATE or connection.alias != write_alias():
        return
    vars(connection)[_TOLD_ATTR] = connection.in_atomic_block
    if connection.in_atomic_block:
        notify_after_commit(connection)


def notify_after_commit(connection: BaseDatabaseWrapper) -> None:
    """Notify the workers once for a transaction, which may load thousands of objects; in autocommit, now."""
    if not connection.in_atomic_block:
        notify.notify_workers()
    elif requests.is_in_test_case(connection) or notify.notify_workers not in (
        entry[1]
        for entry in connection.run_on_commit  # in a TestCase, they stay there when they have been called
    ):
        connection.on_commit(notify.notify_workers, robust=True)


def take(connection: BaseDatabaseWrapper) -> bool | None:
    """Tell whether a statement has made records due since this was asked last; None where none has.

    It is True where the workers are notified after the commit, and False in autocommit, where that is up to the caller.
    """
    told: bool | None = vars(connection).pop(_TOLD_ATTR, None)
    return told
