from __future__ import annotations

import io
import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import models
from numpy.typing import NDArray

import similar_images
from similar_images import registry
from similar_images.indexing import notify, outbox, sweep
from similar_images.management.commands.index_images import MAX_FAILURES_SHOWN, Command
from similar_images.models import IndexedImage, Mark, MethodVersion, Signature, Source
from similar_images.sources.source import ImageSource
from tests import commands, drawing
from tests.databases import ALIAS
from tests.indexing.faults import triggers_off
from tests.methods import Mean
from tests.testapp.models import Couple, NamedPicture, Picture, Unregistered, UuidPicture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]

MEAN = {"tests.methods.Mean": {}}


class Brightness(Mean):
    """A second quick method."""

    name = "brightness"
    dimensions = 1

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return super().compute(pixels).mean(keepdims=True)


class Interrupted(Mean):
    """Ctrl-C is pressed at the fourth picture."""

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        if Mean.computed == 3:
            raise KeyboardInterrupt
        Mean.computed += 1
        return pixels.mean((0, 1), dtype=np.float32) / 255


@pytest.fixture(autouse=True)
def wakes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every time that the workers are woken."""
    called: list[int] = []
    monkeypatch.setattr(notify, "notify_workers", lambda: called.append(1))
    return called


run = partial(commands.run, "index_images")


def run_in_vain(count: int) -> tuple[str, str]:
    """Return what the command says where so many images can't be indexed, which it ends with."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError, match=f"could not be indexed: {count}. All others were") as raised:
        call_command("index_images", sync=True, stdout=out, stderr=err)
    assert raised.value.returncode == 1
    return out.getvalue(), err.getvalue()


def store(seed: int, name: str = "") -> str:
    return default_storage.save(name or f"stored{seed}.png", drawing.file(seed))


def unseen(count: int, start: int = 0) -> list[Picture]:
    """Save pictures that no trigger has seen, as those from before the app was installed."""
    with triggers_off():
        return Picture.objects.bulk_create(
            Picture(image=store(seed), title=f"Unseen {seed}") for seed in range(start, start + count)
        )


def statuses() -> dict[str, str]:
    return dict(IndexedImage.objects.values_list("object_id", "status"))


def record_of(item: models.Model) -> IndexedImage:
    return IndexedImage.objects.get(source__model=item._meta.model_name, object_id=str(item.pk))


def counts(indexed: int = 0, failed: int = 0, later: int = 0) -> str:
    return f"{indexed} indexed, {failed} failed, {later} will be retried later.\n"


# --- finding -----------------------------------------------------------------------------------------------------


def test_sync__indexes_objects_saved_without_signals(make_picture: Any, index_now: Any, tmp_path: Path) -> None:
    updated, kept, bare = make_picture(1), make_picture(2), Picture.objects.create()
    index_now()
    old = record_of(updated)
    unseen(2)
    Picture.objects.filter(pk=updated.pk).update(image=store(7))
    UuidPicture.objects.bulk_create([UuidPicture(image=store(8))])
    NamedPicture.objects.bulk_create([NamedPicture(name="Ö/1", image=store(9))])
    Couple.objects.bulk_create([Couple(front=store(10), back=store(11)), Couple(front=store(12))])
    fixture = tmp_path / "pictures.json"
    fixture.write_text(
        json.dumps([{"model": "testapp.picture", "pk": 999, "fields": {"image": store(13), "shelf": None}}])
    )
    call_command("loaddata", fixture, database=ALIAS, verbosity=0)
    Mean.computed = 0
    assert run("--sync") == (counts(indexed=9), "")
    assert Mean.computed == 9
    assert set(statuses().values()) == {"indexed"}
    assert IndexedImage.objects.count() == Signature.objects.count() == 10
    assert {"999", "Ö/1"} < statuses().keys()
    assert not IndexedImage.objects.filter(source__model="picture", object_id=str(bare.pk)).exists()
    new = record_of(updated)
    assert new.file_name == "stored7.png"
    assert new.sha256 != old.sha256
    assert record_of(kept).attempts == 1


def test_sync__again_does_nothing(wakes: list[int]) -> None:
    unseen(2)
    run("--sync")
    assert run("--sync") == (counts(), "")
    assert Mean.computed == 2
    assert wakes == []


def test_sync__indexes_several_chunks_and_batches(monkeypatch: pytest.MonkeyPatch, configure: Any) -> None:
    monkeypatch.setattr(outbox, "WRITE_CHUNK", 3)
    configure(METHODS=MEAN, BATCH_SIZE=2)
    unseen(7)
    UuidPicture.objects.bulk_create(UuidPicture(image=store(seed)) for seed in range(20, 27))
    assert run("--sync")[0] == counts(indexed=14)
    assert Signature.objects.count() == 14


def test_queue__leaves_indexing_to_the_workers(wakes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "WRITE_CHUNK", 2)
    unseen(5)
    assert run() == ("Images queued for the workers: 5.\n", "")
    assert set(statuses().values()) == {"pending"}
    assert (wakes, Mean.computed) == ([1], 0)


def test_queue__notifies_no_worker_if_nothing_is_due(wakes: list[int]) -> None:
    assert run() == ("Images queued for the workers: 0.\n", "")
    assert wakes == []


# --- options -----------------------------------------------------------------------------------------------------


def test_model__limits_the_sources(wakes: list[int]) -> None:
    (picture,) = unseen(1)
    other = UuidPicture.objects.create(image=drawing.file(2))
    with triggers_off():
        couple = Couple.objects.bulk_create([Couple(front=store(3), back=store(4))])[0]
        NamedPicture.objects.bulk_create([NamedPicture(name="named", image=store(5))])
    assert run("--sync", "--model", "testapp.Picture")[0] == counts(indexed=1)
    assert statuses() == {str(picture.pk): "indexed", str(other.pk): "pending"}
    assert run("--sync", "--model", "testapp.couple", "--model", "testapp.UuidPicture")[0] == counts(indexed=3)
    assert "named" not in statuses()
    assert IndexedImage.objects.filter(object_id=str(couple.pk), source__model="couple").count() == 2
    assert run("--model", "testapp.NamedPicture")[0].startswith("Images queued for the workers: 1.")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--model", "testapp.Nope"], r"There is no model 'testapp\.Nope'"),
        (["--model", "nope"], r"There is no model 'nope'"),
        (["--model", "testapp.Picture", "--model", "testapp.Unregistered"], r"Unregistered.* is not a source; call"),
        (["--method", "nope"], r"Unknown method: nope\. Choices: mean\."),
        (["--method", "mean", "--method", "color"], r"Unknown method: color\."),
    ],
)
def test_invalid_option__is_reported_before_any_work(args: list[str], message: str) -> None:
    unseen(1)
    Unregistered.objects.create(image=store(2))
    with pytest.raises(CommandError, match=message):
        run("--sync", *args)
    assert not IndexedImage.objects.exists()


def test_method__requests_images_without_its_signature(configure: Any) -> None:
    first, second = unseen(2)
    run("--sync")
    configure(METHODS={**MEAN, f"{__name__}.Brightness": {}})
    Signature.objects.filter(record__object_id=str(first.pk)).delete()
    assert run("--method", "mean")[0].startswith("Images queued for the workers: 1.")
    assert statuses() == {str(first.pk): "pending", str(second.pk): "indexed"}
    assert run("--sync", "--method", "brightness")[0] == counts(indexed=2)
    assert Signature.objects.filter(method="brightness").count() == 2
    assert Signature.objects.filter(method="mean").count() == 2


def test_sync__adds_the_signatures_of_a_new_method(configure: Any) -> None:
    unseen(3)
    run("--sync")
    configure(METHODS={**MEAN, f"{__name__}.Brightness": {}})
    assert run("--sync")[0] == counts(indexed=3)
    assert Signature.objects.count() == 6


def test_failed__retries_failed_images() -> None:
    item = Picture.objects.create(image=ContentFile(b"text", name="text.png"))
    out, err = run_in_vain(1)
    assert out == counts(failed=1)
    assert err == f"testapp.picture.image {item.pk}: {item.image.name}: This is not an image in a supported format " + (
        "(JPEG, PNG, GIF, WEBP, AVIF, TIFF, BMP, HEIC).\n"
    )
    default_storage.delete(item.image.name)
    default_storage.save(item.image.name, drawing.file(1))
    assert run("--sync")[0] == counts()
    assert run("--sync", "--failed") == (counts(indexed=1), "")


def test_sync__indexes_the_others_where_one_has_to_be_tried_again(
    make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may be there to try again: a script that goes on would leave the image out of every search."""
    make_picture(1)
    away = make_picture(2)
    open_file = default_storage.open

    def refuse(name: str, *args: Any) -> Any:
        if name == away.image.name:
            raise ConnectionError("The storage is away.")
        return open_file(name, *args)

    monkeypatch.setattr(default_storage, "open", refuse)
    out, _err = run_in_vain(1)
    assert out == counts(indexed=1, later=1)


def test_failed__lists_a_limited_number() -> None:
    for number in range(MAX_FAILURES_SHOWN + 2):
        Picture.objects.create(image=ContentFile(b"text", name=f"text{number}.png"))
    out, err = run_in_vain(MAX_FAILURES_SHOWN + 2)
    assert out == counts(failed=MAX_FAILURES_SHOWN + 2)
    assert len(err.splitlines()) >= MAX_FAILURES_SHOWN


def test_again__reads_indexed_images() -> None:
    (item,) = unseen(1)
    broken = Picture.objects.create(image=ContentFile(b"text", name="text.png"))
    run_in_vain(1)
    before = IndexedImage.objects.get(object_id=str(item.pk))
    Path(item.image.path).write_bytes(drawing.encoded(drawing.scene(5)))
    assert run("--sync")[0] == counts()
    assert run("--sync", "--again")[0] == counts(indexed=1)
    after = IndexedImage.objects.get(object_id=str(item.pk))
    assert after.sha256 != before.sha256
    assert after.revision != before.revision
    assert statuses()[str(broken.pk)] == "failed"


def test_again__is_limited_to_the_model() -> None:
    unseen(1)
    UuidPicture.objects.create(image=drawing.file(2))
    run("--sync")
    assert run("--again", "--model", "testapp.UuidPicture")[0].startswith("Images queued for the workers: 1.")
    assert IndexedImage.objects.get(status="pending").source.model == "uuidpicture"


def test_again__keeps_signatures_searchable() -> None:
    unseen(2)
    run("--sync")
    run("--again")
    assert Signature.objects.count() == 2


# --- stopping and starting again ---------------------------------------------------------------------------------


def test_sync__resumes_after_an_interruption(configure: Any) -> None:
    unseen(6)
    configure(METHODS={f"{__name__}.Interrupted": {}}, BATCH_SIZE=2)
    with pytest.raises(KeyboardInterrupt):
        run("--sync")
    assert sorted(statuses().values()) == ["indexed"] * 2 + ["pending"] * 4
    done = set(Signature.objects.values_list("pk", flat=True))
    configure(METHODS=MEAN, BATCH_SIZE=2)
    Mean.computed = 0
    assert run("--sync")[0] == counts(indexed=4)
    assert Mean.computed == 4
    assert set(statuses().values()) == {"indexed"}
    assert done < set(Signature.objects.values_list("pk", flat=True))


def test_queue__resumes_after_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "WRITE_CHUNK", 2)
    unseen(5)
    chunks = outbox.enqueue_missing(registry.get_source(Picture))
    assert next(chunks) == 2
    chunks.close()
    assert len(statuses()) == 2
    assert run()[0].startswith("Images queued for the workers: 5.")
    assert len(statuses()) == 5


# --- what it shows -----------------------------------------------------------------------------------------------


def test_help__explains_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Command().run_from_argv(["manage.py", "index_images", "--help"])
    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "Can be stopped and restarted at any time." in text
    for option, words in {
        "--model app.Model": "Only images of this model; may be repeated.",
        "--method NAME": "Only images without this method's signature.",
        "--failed": "Also retry images that failed.",
        "--again": "Also read indexed images again.",
        "--sync": "Index right here, without Celery.",
    }.items():
        assert f"{option} {words}" in text


@pytest.mark.parametrize("args", [[], ["--sync"]])
def test_progress_bar__is_hidden_without_a_terminal(args: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    unseen(2)
    call_command("index_images", *args)
    captured = capfd.readouterr()
    assert captured.err == ""
    assert len(captured.out.splitlines()) == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("verbosity", [0, 1])
def test_progress_bar__on_a_terminal(verbosity: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, out = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    unseen(2)
    call_command("index_images", "--sync", verbosity=verbosity, stdout=out)
    shown = terminal.getvalue()
    if verbosity:
        assert "finding: 2 images" in shown
        assert "indexing: 100%" in shown
        assert "2/2" in shown
    else:
        assert shown == ""
    assert out.getvalue() == counts(indexed=2)


@pytest.fixture
def former(mean_method: None, make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch) -> list[Picture]:
    """Two marked pictures, whose source is no longer registered; and a couple, whose sources are."""
    items = [make_picture(1), make_picture(2)]
    Couple.objects.create(front=drawing.file(3), back=drawing.file(4))
    index_now()
    similar_images.mark(*items, alike=False)
    monkeypatch.setattr(registry, "_sources", leave_out(Picture))
    return items


def count_stored(label: str) -> tuple[int, ...]:
    """Return the numbers of records, signatures and marks of a source."""
    app_label, model, field = label.split(".")
    sources = Source.objects.filter(app_label=app_label, model=model, field=field)
    tables: list[Any] = [IndexedImage, Signature, Mark]
    return tuple(table.primary.filter(source__in=sources).count() for table in tables)


def leave_out(model: type[models.Model]) -> dict[Any, ImageSource]:
    """Return the registered sources but those of a model."""
    return {key: source for key, source in registry._sources.items() if source.model is not model}


@pytest.mark.usefixtures("former")
def test_index_images__names_what_is_no_longer_registered_and_keeps_it() -> None:
    _out, err = run("--sync")
    assert "testapp.picture.image is no longer registered. Image records kept until you run --prune: 2." in err
    sweep.sweep_sources()
    run("--prune", "--model", "testapp.Couple")
    assert count_stored("testapp.picture.image") == (2, 2, 1)


@pytest.mark.usefixtures("former")
def test_prune__deletes_all_of_what_is_no_longer_registered_and_nothing_else() -> None:
    out, _err = run("--prune")
    assert "testapp.picture.image is no longer registered. Deleted: 2 image records, 1 marks." in out
    assert count_stored("testapp.picture.image") == (0, 0, 0)
    assert not MethodVersion.objects.filter(source__model="picture").exists()
    assert not Source.objects.filter(model="picture").exists()
    assert count_stored("testapp.couple.front") == count_stored("testapp.couple.back") == (1, 1, 0)
    out, err = run("--prune")
    assert "no longer registered" not in out + err


@pytest.mark.usefixtures("former")
def test_prune__leaves_records_that_are_being_written_to_the_next_time(
    lock_records: Any, former: list[Picture]
) -> None:
    with lock_records(former[0]):
        out, _err = run("--prune")
    assert "Deleted: 1 image records, 1 marks." in out
    assert count_stored("testapp.picture.image") == (1, 1, 0)
    assert "Deleted: 1 image records, 0 marks." in run("--prune")[0]
    assert count_stored("testapp.picture.image") == (0, 0, 0)


def test_index_images__reads_nothing_again_if_the_source_is_renamed_with_its_field(make_picture: Any) -> None:
    make_picture(1)
    run("--sync")
    with pytest.MonkeyPatch.context() as monkeypatch:
        Source.objects.filter(model="picture").update(field="photo")  # as if this had been the name until now
        monkeypatch.setattr(registry, "_sources", leave_out(Picture))
        assert "testapp.picture.photo is no longer registered" in run()[1]
        Source.objects.filter(model="picture").update(field="image")
    assert run() == ("Images queued for the workers: 0.\n", "")
    assert count_stored("testapp.picture.image") == (1, 1, 0)
