"""Writers that die, or lose the database, at any moment of a save: nothing stale is served, and nothing is lost.

A writer is a forked process that ends before its n-th step, without a word, as if killed; or whose connection to the
database ends there. The steps are all that leave something behind: statements, commits, and the writing and deleting of
files. So to be killed after one is to be killed before the next, and before what only reads is before what follows it.
All steps are tried.
"""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from PIL import Image

import similar_images
from similar_images import registry
from similar_images.indexing import notify, sweep
from similar_images.models import IndexedImage, ReindexRequest, Signature
from tests import drawing
from tests.databases import ALIAS
from tests.indexing.faults import pass_time, set_storage
from tests.testapp.models import Picture

OLD, NEW = 100, 200

KILLED, COMPLETED = 9, 0


def gray(level: int) -> bytes:
    return drawing.encoded(Image.new("RGB", (8, 8), (level,) * 3))


def content(level: int, name: str) -> ContentFile:
    return ContentFile(gray(level), name=name)


def stored_level(item: Picture) -> int | None:
    """Return the gray level of the bytes that an object's file has now; None where there is none."""
    if not item.image or not item.image.storage.exists(item.image.name):
        return None
    with item.image.storage.open(item.image.name) as file:
        return int(Image.open(file).convert("RGB").getpixel((0, 0))[0])


def kill() -> None:
    os._exit(KILLED)


def lose_database() -> None:
    """Cut the connection, which the writer has to find out by itself."""
    connection = connections[ALIAS].connection
    if connection and not connection.closed:
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


@dataclass
class Steps:
    """Counts the steps of a writer, and lets its fate happen before the last."""

    last: int
    fate: Callable[[], None]
    count: int = 0

    def before(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            if not (self.fate is kill and reads(*args)):
                self.count += 1
                if self.count == self.last:
                    self.fate()
            return work(*args, **kwargs)

        return step


def reads(*args: Any) -> bool:
    """Tell whether a step, by its arguments, is a statement that leaves nothing behind, not even a lock."""
    sql = str(args[1]) if isinstance(args[0], CursorWrapper) else ""
    return sql.startswith("SELECT") and "FOR " not in sql


def run_writer(write: Callable[[], None], last: int, in_atomic: bool, fate: Callable[[], None]) -> int:
    """Run a writer in a process of its own up to a step, and tell whether it got so far, as an exit code."""
    connections.close_all()
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        steps = Steps(last, fate)
        CursorWrapper.execute = steps.before(CursorWrapper.execute)  # type: ignore[method-assign]
        CursorWrapper.executemany = steps.before(CursorWrapper.executemany)  # type: ignore[method-assign]
        BaseDatabaseWrapper._commit = steps.before(BaseDatabaseWrapper._commit)
        BaseDatabaseWrapper.run_and_clear_commit_hooks = steps.before(BaseDatabaseWrapper.run_and_clear_commit_hooks)
        FileSystemStorage._save = steps.before(FileSystemStorage._save)
        FileSystemStorage.delete = steps.before(FileSystemStorage.delete)  # type: ignore[method-assign]
        notify.notify_workers = lambda: None
        with suppress(DatabaseError, InterfaceError), transaction.atomic(using=ALIAS) if in_atomic else nullcontext():
            write()
        code = COMPLETED if steps.count < last else KILLED
    finally:
        os._exit(code)


def create() -> None:
    Picture.objects.create(image=content(NEW, "new.png"), title="created")


def replace() -> None:
    item = Picture.objects.get(title="old")
    item.image = content(NEW, "new.png")
    item.save()


def overwrite() -> None:
    item = Picture.objects.get(title="old")
    item.image.save("old.png", content(NEW, "old.png"))


def overwrite_and_go_on() -> None:
    """The file is written, then other fields, then it is overwritten once more."""
    item = Picture.objects.get(title="old")
    item.image.save("old.png", content(NEW - 50, "old.png"))
    item.published = True
    item.save(update_fields=["published"])
    item.image.save("old.png", content(NEW, "old.png"))


def overwrite_of_another() -> None:
    """A new object overwrites the file of another."""
    Picture.objects.create(image=content(NEW, "old.png"), title="created")


def overwrite_after_deletion() -> None:
    item = Picture.objects.get(title="old")
    item.image.delete(save=False)
    item.image.save("old.png", content(NEW, "old.png"))


def rename() -> None:
    item = Picture.objects.get(title="old")
    item.image = "pictures/other.png"
    item.save()


def update() -> None:
    Picture.objects.filter(title="old").update(image="pictures/other.png")


def clear() -> None:
    item = Picture.objects.get(title="old")
    item.image = ""
    item.save()


def delete() -> None:
    Picture.objects.get(title="old").delete()


WRITES = [
    create,
    replace,
    overwrite,
    overwrite_and_go_on,
    overwrite_of_another,
    overwrite_after_deletion,
    rename,
    update,
    clear,
    delete,
]


def served() -> Iterator[tuple[Picture, int]]:
    """Yield objects that are served as the very picture that is searched for, with its gray level."""
    for level in (OLD, NEW):
        for match in similar_images.similar_to(io.BytesIO(gray(level)), model=Picture, min_similarity=100):
            yield match.object, level
    for item in Picture.objects.filter(title__in=["old", "twin"]):
        if (current := stored_level(item)) is not None:
            for match in similar_images.similar_to(item, min_similarity=100):
                yield match.object, current


def check_nothing_stale_is_served(case: str) -> None:
    for item, level in served():
        # The signatures of a file that is gone stay, as a folder that is not mounted must not empty the site.
        current = stored_level(item)
        assert current in (level, None), f"{case}: {item} is served for a picture that it no longer is"


def check_everything_is_indexed(case: str) -> None:
    """Compare the records with the objects, and the signatures with the bytes in the storage."""
    assert not ReindexRequest.objects.exists(), case
    with_file = {str(item.pk): item for item in Picture.objects.exclude(image="")}
    records = {record.object_id: record for record in IndexedImage.objects.all()}
    assert records.keys() == with_file.keys(), case
    for key, record in records.items():
        assert record.file_name == with_file[key].image.name, case
        current = stored_level(with_file[key])
        if current is None:  # the writer was killed when it had deleted its file
            assert record.status == "indexed" or record.error == "The file is missing from the storage.", case
            continue
        (signature,) = Signature.objects.filter(record=record)
        assert record.status == "indexed", case
        assert round(float(signature.dense[0]) * 255) == current, case
    assert Signature.objects.count() <= len(records), case


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fate", [kill, lose_database], ids=lambda fate: fate.__name__)
@pytest.mark.parametrize("in_atomic", [False, True], ids=["autocommit", "atomic"])
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_writer_killed_at_every_step(
    write: Callable[[], None],
    in_atomic: bool,
    fate: Callable[[], None],
    mean_method: None,
    index_now: Any,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Any,
) -> None:
    set_storage(monkeypatch, FileSystemStorage(allow_overwrite=True))
    sources = [registry.get_source(Picture)]
    monkeypatch.setattr(registry, "get_sources", lambda: sources)  # a sweep of the others takes longest
    last, code = 0, KILLED
    while code == KILLED:
        last += 1
        Picture.objects.all().delete()
        for title, level in (("old", OLD), ("twin", OLD), ("other", 60)):
            Picture.objects.create(image=content(level, f"{title}.png"), title=title)
        index_now()
        code = run_writer(write, last, in_atomic, fate)
        assert code in (KILLED, COMPLETED)
        case = f"{write.__name__}, step {last}"
        check_nothing_stale_is_served(case)
        index_now()
        check_nothing_stale_is_served(case)
        pass_time(seconds=400)
        sweep.sweep_sources()
        index_now()
        check_nothing_stale_is_served(case)
        check_everything_is_indexed(case)
    assert last > 1
    mode = "atomic" if in_atomic else "autocommit"
    happens = "killed" if fate is kill else "without the database"
    record_property("figure", f"{write.__name__} {happens} at each of {last - 1} steps, {mode}")
