"""A host's process that writes: operations alone and in transactions, some of which are rolled back.

It owns the objects with its number, so that nobody else's transaction can be in its way. Before each step it writes
down which names its fields may get, and afterwards which they got.
"""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from pathlib import Path
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError

from .journal import Journal
from .operations import Host
from .recovery import recover, wait_for_database
from .storage import StorageDown

DEADLY_SHARE = 0.003
"""Share of statements before or after which the writer dies."""

LIFE = 5_000
"""Numbers of pictures and keys that one life of a writer may use."""

MODES = {"autocommit": 11, "atomic": 4, "repeatable read": 2, "rolled back": 4}


class RollBack(Exception):
    """Ends a transaction that the host does not want."""


class Writer:
    def __init__(self, number: int, life: int, folder: Path) -> None:
        self.name = f"writer{number}"
        self.path = folder / f"{self.name}.jsonl"
        self.stop = folder / "stop-writing"
        self.journal = Journal.current = Journal(self.path)
        self.random = random.Random(f"{os.environ['CHAOS_SEED']} {number} {life}")
        random.seed(f"storage {os.environ['CHAOS_SEED']} {number} {life}")
        self.host = Host(number, self.journal, self.random, life * LIFE)
        self.prefix = f"{number}.{life}"

    def run(self) -> None:
        connection.settings_dict["OPTIONS"]["application_name"] = self.name
        recover(self.path, self.journal, self.name)
        first, steps = self.host.next_number, 0
        while not self.stop.exists() and self.host.next_number < first + LIFE - 50:
            wait_for_database()
            steps += 1
            self.take_step(f"{self.prefix}.{steps}")

    def take_step(self, step: str) -> None:
        """Do one operation alone, or some in a transaction."""
        self.host.step, self.host.names = step, {}
        mode = self.random.choices(list(MODES), list(MODES.values()))[0]
        start = self.journal.write("step", step=step, mode=mode)
        try:
            with connection.execute_wrapper(self.die_somewhere):
                if mode == "autocommit":
                    self.host.operate()
                else:
                    self.operate_in_transaction(mode)
        except RollBack:
            self.journal.write("end", step=step, names={})
        except Exception as error:
            self.journal.write(
                "error",
                start=start,
                mode=mode,
                is_weather=isinstance(error, StorageDown),
                is_database=isinstance(error, (OperationalError, InterfaceError, TransactionManagementError)),
                text="".join(traceback.format_exception(error))[-6000:],
            )
            connection.close()
            recover(self.path, self.journal, self.name)
            time.sleep(0.2)  # as long as the storage is down, this is all that happens
        else:
            self.journal.write("end", step=step, names=self.host.names)

    def operate_in_transaction(self, mode: str) -> None:
        with transaction.atomic():
            if mode == "repeatable read":
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            for _ in range(self.random.randint(1, 4)):
                if self.random.random() < 0.2:
                    self.operate_in_vain()
                else:
                    self.host.operate()
                if self.random.random() < 0.2:
                    time.sleep(self.random.uniform(0, 0.2))
            if mode == "rolled back":
                raise RollBack

    def operate_in_vain(self) -> None:
        """Roll an operation back to a savepoint."""
        before = dict(self.host.names)
        try:
            with transaction.atomic():
                self.host.operate()
                raise RollBack
        except RollBack:
            self.host.names = before
            if connection.needs_rollback:  # Django keeps it to itself that there was no connection any more
                raise OperationalError("The savepoint could not be rolled back.") from None

    def die_somewhere(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Run a statement, and die before or after it now and then."""
        fate = self.random.random()
        if fate < DEADLY_SHARE:
            self.die("before a statement")
        result = execute(sql, params, many, context)
        if fate > 1 - DEADLY_SHARE:
            self.die("after a statement")
        return result

    def die(self, place: str) -> None:
        self.journal.write("death", place=place)
        os.kill(os.getpid(), signal.SIGKILL)


def main(number: int, life: int, folder: str) -> None:
    """Be a writer until the file `stop-writing` exists."""
    Writer(number, life, Path(folder)).run()
