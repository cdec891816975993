"""Triggers: records are written in the statement that writes the object, whoever writes it and however it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError, connections, models, transaction
from django.db.migrations.executor import MigrationExecutor
from django.test.utils import isolate_apps

import similar_images
from similar_images import registry
from similar_images.indexing import claims, requests, signals, sweep, triggers, worker
from similar_images.models import IndexedImage, ReindexRequest, Signature, Source
from similar_images.registry import ImageSource
from tests import commands, drawing
from tests.databases import ALIAS, await_replica, connection
from tests.indexing.faults import set_storage
from tests.testapp.models import NamedPicture, Picture, Scan, StoredFile, UuidPicture

pytestmark = pytest.mark.django_db


def run(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        if sql.startswith("ALTER"):
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table can't be altered while checks of it are pending
        cursor.execute(sql, parameters or None)


def records() -> dict[str, tuple[str, str]]:
    """Return file name and status of every record, by object id."""
    return {
        key: (name, status)
        for key, name, status in IndexedImage.objects.values_list("object_id", "file_name", "status")
    }


# --- whoever writes ----------------------------------------------------------------------------------------------


def test_bulk_create__writes_records() -> None:
    items = Picture.objects.bulk_create([Picture(image=f"{n}.png") for n in range(3)] + [Picture()])
    assert records() == {str(item.pk): (f"{n}.png", "pending") for n, item in enumerate(items[:3])}
    assert set(IndexedImage.objects.values_list("object_key", flat=True)) == {item.pk for item in items[:3]}


def test_bulk_create__that_updates_writes_records(make_picture: Any, index_now: Any) -> None:
    item = make_picture()
    index_now()
    Picture.objects.bulk_create(
        [Picture(pk=item.pk, image="a.png"), Picture(pk=item.pk + 1, image="b.png")],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["image"],
    )
    assert records() == {str(item.pk): ("a.png", "pending"), str(item.pk + 1): ("b.png", "pending")}
    assert not Signature.objects.exists()


@pytest.mark.parametrize("way", ["update", "bulk_update", "sql"])
def test_update__makes_the_record_pending_and_deletes_its_signatures(
    way: str, make_picture: Any, index_now: Any
) -> None:
    item, other = make_picture(1), make_picture(2)
    index_now()
    before = IndexedImage.objects.get(object_id=item.pk)
    if way == "update":
        Picture.objects.filter(pk=item.pk).update(image="new.png")
    elif way == "bulk_update":
        item.image = "new.png"
        Picture.objects.bulk_update([item, other], ["image"])
    else:
        run("UPDATE testapp_picture SET image = 'new.png' WHERE id = %s", item.pk)
    after = IndexedImage.objects.get(object_id=item.pk)
    assert (after.pk, after.status, after.file_name) == (before.pk, "pending", "new.png")
    assert after.revision != before.revision
    assert set(Signature.objects.values_list("record__object_id", flat=True)) == {str(other.pk)}


def test_update__of_other_columns_changes_nothing(make_picture: Any, index_now: Any) -> None:
    make_picture()
    index_now()
    before = list(IndexedImage.objects.values())
    Picture.objects.update(title="new", image=models.F("image"))
    assert list(IndexedImage.objects.values()) == before


@pytest.mark.parametrize("name", ["", None])
def test_update__to_no_file_deletes_the_record(name: str | None, index_now: Any) -> None:
    UuidPicture.objects.create(image=drawing.file())
    index_now()
    run("UPDATE testapp_uuidpicture SET image = %s", name)
    assert not IndexedImage.objects.exists()
    assert not Signature.objects.exists()


def test_update__of_the_key_moves_the_record() -> None:
    NamedPicture.objects.create(name="old", image="a.png")
    NamedPicture.objects.filter(pk="old").update(name="new")
    assert records() == {"new": ("a.png", "pending")}


@pytest.mark.parametrize("way", ["raw_delete", "sql"])
def test_delete__deletes_records_signatures_marks_and_requests(way: str, make_picture: Any, index_now: Any) -> None:
    gone, other = make_picture(1), make_picture(2)
    index_now()
    similar_images.mark(gone, other, alike=True)
    source = Source.objects.get_id(registry.get_source(Picture))
    now = IndexedImage.objects.first().requested_at
    ReindexRequest.objects.create(source_id=source, object_id=str(gone.pk), due_at=now)
    if way == "sql":
        run("DELETE FROM testapp_picture WHERE id = %s", gone.pk)
    else:
        Picture.objects.filter(pk=gone.pk)._raw_delete(ALIAS)
    assert list(records()) == [str(other.pk)]
    assert set(Signature.objects.values_list("record__object_id", flat=True)) == {str(other.pk)}
    assert not similar_images.models.Mark.objects.exists()
    assert not ReindexRequest.objects.exists()


def test_inherited_field__of_a_parent_table_is_followed(index_now: Any) -> None:
    """Like django-filer's images, whose file is in the table of all files."""
    StoredFile.objects.create(file="report.pdf")
    scan = Scan.objects.create(file=drawing.file(1, name="scan.png"))
    assert records() == {str(scan.pk): (scan.file.name, "pending")}
    index_now()
    Scan.objects.update(pages=2)
    assert records() == {str(scan.pk): (scan.file.name, "indexed")}
    StoredFile.objects.update(file="other.png")
    assert records() == {str(scan.pk): ("other.png", "pending")}
    scan.delete(keep_parents=True)
    assert records() == {}


def test_large_statements__are_one_for_the_trigger_too(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        run(
            "INSERT INTO testapp_picture (title, image, published) SELECT '', n || '.png', true "
            "FROM generate_series(1, 3000) AS n"
        )
    assert IndexedImage.objects.filter(status="pending").count() == 3000


# --- a host's statement never fails ------------------------------------------------------------------------------


@contextmanager
def repeatable_read() -> Iterator[Any]:
    """Open a transaction at REPEATABLE READ, as a host may run all of its own."""
    with transaction.atomic(using=ALIAS):
        run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["replace", "delete", "update"])
def test_repeatable_read__a_worker_that_wrote_meanwhile_breaks_no_save(
    way: str, make_picture: Any, run_in_thread: Any, index_now: Any, mean_method: None
) -> None:
    item, twin = make_picture(1), make_picture(1)
    batch = claims.claim_batch()
    with repeatable_read():
        assert Picture.objects.using(ALIAS).count() == 2  # the snapshot is taken where the object is saved
        run_in_thread(worker.index_records, batch).result(10)
        if way == "replace":
            item.image.save("new.png", drawing.file(2))
        elif way == "delete":
            item.delete()
        else:
            Picture.objects.filter(pk=item.pk).update(image=twin.image.storage.save("new.png", drawing.file(2)))
    key = str(item.pk or ReindexRequest.primary.get().object_id)
    assert [request.object_id for request in ReindexRequest.primary.all()] == [key]
    await_replica()
    assert similar_images.similar_to(twin) == [], "what may be out of date is not shown"
    index_now()
    assert not ReindexRequest.objects.exists()
    if way == "delete":
        assert list(records()) == [str(twin.pk)]
        return
    assert records()[key] == (Picture.objects.get(pk=item.pk).image.name, "indexed")
    (match,) = similar_images.similar_to(twin)
    assert match.similarity < 100


def test_error__leaves_a_request_and_reaches_no_save(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    index_now()
    run("ALTER TABLE similar_images_indexedimage ADD CONSTRAINT broken CHECK (file_name NOT LIKE '%new%')")
    item.image.save("new.png", drawing.file(2))
    assert [request.object_id for request in ReindexRequest.objects.all()] == [str(item.pk)]
    run("ALTER TABLE similar_images_indexedimage DROP CONSTRAINT broken")
    index_now()
    assert records() == {str(item.pk): ("pictures/new.png", "indexed")}


@pytest.mark.parametrize("missing", ["FUNCTION similar_images_set_files", "TABLE similar_images_source"])
def test_error__of_a_missing_function_or_table_reaches_no_save(missing: str) -> None:
    """As where the app was removed, and its triggers were not."""
    kind, name = missing.split()
    run(f"ALTER {kind} {name} RENAME TO elsewhere")
    item = Picture.objects.bulk_create([Picture(image="a.png")])
    Picture.objects.update(image="b.png")
    Picture.objects.all()._raw_delete(ALIAS)
    assert item


def test_error__of_a_writer_without_rights_reaches_no_statement_of_its() -> None:
    """Another program writes with a role of its own, which knows nothing of this app."""
    run("CREATE ROLE importer")
    run("GRANT ALL ON testapp_picture, testapp_picture_id_seq TO importer")
    run("SET LOCAL ROLE importer")
    run("INSERT INTO testapp_picture (title, image, published) VALUES ('', 'a.png', true)")
    run("RESET ROLE")
    assert records() == {}
    sweep.sweep_sources()
    assert list(records().values()) == [("a.png", "pending")]


@pytest.mark.django_db(transaction=True)
def test_error__of_tables_that_are_gone_reaches_no_save(make_picture: Any) -> None:
    """As between the removal of the tables and that of the app, while processes still run."""
    item = make_picture(1)
    tables = ["similar_images_indexedimage", "similar_images_reindexrequest"]
    for table in tables:
        run(f"ALTER TABLE {table} RENAME TO {table}_gone")
    try:
        item.save()
        item.image.save("new.png", drawing.file(2))
        with transaction.atomic(using=ALIAS):
            item.save()
            item.image.save("newer.png", drawing.file(3))
            Picture.objects.create(image=drawing.file(4))
        item.delete()
    finally:
        for table in tables:
            run(f"ALTER TABLE {table}_gone RENAME TO {table}")
    assert Picture.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_lock__of_a_table_holds_no_statement_up_for_long(make_picture: Any, index_now: Any) -> None:
    """As a migration takes it: the change is requested where the record can't be written."""
    item = make_picture(1)
    other = connections.create_connection(ALIAS)
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE similar_images_indexedimage IN ACCESS EXCLUSIVE MODE")
        Picture.objects.filter(pk=item.pk).update(image=item.image.storage.save("new.png", drawing.file(2)))
    finally:
        other.rollback()
        other.close()
    assert ReindexRequest.objects.get().object_id == str(item.pk)
    index_now()
    assert records() == {str(item.pk): ("new.png", "indexed")}


@pytest.mark.django_db(transaction=True)
def test_overwriting__while_no_connection_is_free_is_requested_as_soon_as_one_is(
    make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_apart, failures = requests._insert_apart, iter([OperationalError("too many clients")] * 2)

    def insert_or_fail(*args: Any) -> int:
        for failure in failures:
            raise failure
        return insert_apart(*args)

    monkeypatch.setattr(requests, "_insert_apart", insert_or_fail)
    monkeypatch.setattr(requests, "RETRY_SECONDS", 0.1)
    set_storage(monkeypatch, FileSystemStorage(allow_overwrite=True))
    item = make_picture(1)
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=ALIAS):
        item.image.save(item.image.name.rpartition("/")[2], drawing.file(2))
        raise ZeroDivisionError
    end = time.monotonic() + 10
    while not ReindexRequest.objects.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert ReindexRequest.objects.get().file_name == item.image.name


# --- installation ------------------------------------------------------------------------------------------------


def names() -> set[str]:
    return {trigger.name for trigger in triggers._existing_triggers(ALIAS)}


def test_triggers__exist_for_every_source_after_migrate() -> None:
    assert triggers.missing_triggers(registry.get_sources(), ALIAS) == {}
    assert len(names()) == 3 * len(registry.get_sources())


def test_triggers__that_are_missing_are_created_by_the_sweep_which_swept_the_whole(make_picture: Any) -> None:
    run(triggers.DROP_FUNCTIONS)
    item = make_picture(1)
    assert records() == {}
    sweep.sweep_sources()
    assert records() == {str(item.pk): (item.image.name, "pending")}
    other = make_picture(2)
    assert str(other.pk) in records()


def test_triggers__of_former_sources_and_definitions_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    before = names()
    kept = {key: source for key, source in registry._sources.items() if key[0] is not Picture}
    monkeypatch.setattr(registry, "_sources", kept)
    triggers.drop_obsolete_triggers(registry.get_sources(), ALIAS)
    assert len(names()) == len(before) - 3
    Picture.objects.create(image=drawing.file())
    assert records() == {}


@isolate_apps("tests.testapp")
def test_triggers__a_view_gets_none_and_the_sweep_finds_its_objects(
    monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    class Viewed(models.Model):
        image = models.ImageField()

        class Meta:
            app_label = "testapp"
            managed = False

    run("CREATE VIEW testapp_viewed AS SELECT id, image FROM testapp_picture")
    source = ImageSource(Viewed, "image")
    monkeypatch.setattr(registry, "_sources", {(Viewed, "image"): source})
    Picture.objects.bulk_create([Picture(image="a.png")])
    sweep.sweep_sources()
    sweep.sweep_sources()
    assert caplog.text.count("testapp.Viewed.image") == 1, "it is said once"
    viewed = IndexedImage.objects.filter(source=Source.objects.get_id(source))
    assert [record.file_name for record in viewed.all()] == ["a.png"]
    Picture.objects.bulk_create([Picture(image="b.png")])
    Picture.objects.filter(image="a.png")._raw_delete(ALIAS)
    sweep.sweep_sources()
    assert [record.file_name for record in viewed.all()] == ["b.png"]


def test_triggers__keep_no_column_from_being_altered(make_picture: Any) -> None:
    """A host's migrations come and go: a renamed field is followed again from the next migrate on."""
    item = make_picture()
    run("ALTER TABLE testapp_picture ALTER COLUMN image TYPE varchar(500)")
    run("ALTER TABLE testapp_picture DROP COLUMN published")
    run("ALTER TABLE testapp_picture RENAME COLUMN image TO photo")
    run("UPDATE testapp_picture SET photo = 'new.png'")
    run("DELETE FROM testapp_picture")
    assert list(records()) in ([], [str(item.pk)])


def test_functions__write_every_column_of_a_record() -> None:
    """A column that is added to the model must not keep what the former file left in it."""
    sql = triggers._SQL.read_text(encoding="utf-8")
    update = sql.partition("DO UPDATE SET")[2].partition("WHERE")[0]
    written = {line.split("=")[0].strip() for line in update.strip().split(",\n")}
    columns = {field.column for field in IndexedImage._meta.fields}
    assert written == columns - {"id", "source_id", "object_id", "object_key"}


@pytest.mark.django_db(transaction=True)
def test_migration__backward_leaves_no_trigger() -> None:
    try:
        MigrationExecutor(connection).migrate([("similar_images", "0001_initial")])
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'similar\\_images\\_%'")
            assert cursor.fetchone() == (0,)
        Picture.objects.create(image="a.png")
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes("similar_images"))
        from similar_images.indexing import signals

        signals.prepare_database(using=ALIAS)


# --- requests ----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_requests__of_objects_being_saved_wait(make_picture: Any) -> None:
    busy, free = make_picture(1), make_picture(2)
    source = Source.objects.get_id(registry.get_source(Picture))
    now = IndexedImage.objects.first().requested_at
    for item in (busy, free):
        ReindexRequest.objects.create(source_id=source, object_id=str(item.pk), due_at=now)
    other = connections.create_connection(ALIAS)
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM testapp_picture WHERE id = %s FOR UPDATE", [busy.pk])
        assert requests.take_requests() == 1
        other.rollback()
    finally:
        other.close()
    assert requests.take_requests() == 1


def test_requests__of_sources_that_are_no_longer_registered_are_dropped(make_picture: Any) -> None:
    item = make_picture()
    now = IndexedImage.objects.get().requested_at
    former = Source.objects.create(app_label="gone", model="gone", field="gone")
    ReindexRequest.objects.create(source=former, object_id=str(item.pk), due_at=now)
    assert requests.take_requests() == 1
    assert not ReindexRequest.objects.exists()


@pytest.mark.parametrize("column", ["names", "ids", "old", "new", "found", "source_key", "tg_op", "Photo", "{files}"])
def test_triggers__of_a_column_named_like_what_their_function_has(make_picture: Any, column: str) -> None:
    with connection.schema_editor() as editor:
        run(f"ALTER TABLE testapp_picture RENAME COLUMN image TO {editor.quote_name(column)}")
    field = Picture._meta.get_field("image")
    former, field.column = field.column, column
    try:
        signals.prepare_database(using=ALIAS)
        item = Picture.objects.bulk_create([Picture(image="a.png")])[0]
        assert records() == {str(item.pk): ("a.png", "pending")}
        Picture.objects.update(image="b.png")
        assert records() == {str(item.pk): ("b.png", "pending")}
    finally:
        field.column = former


def test_triggers__of_a_table_in_another_schema() -> None:
    """The usual way to name one, as Django has no option for it."""
    run("CREATE SCHEMA warehouse")
    run("ALTER TABLE testapp_picture SET SCHEMA warehouse")
    former, Picture._meta.db_table = Picture._meta.db_table, 'warehouse"."testapp_picture'
    try:
        signals.prepare_database(using=ALIAS)
        assert triggers.missing_triggers([registry.get_source(Picture)], ALIAS) == {}
        run("INSERT INTO warehouse.testapp_picture (title, image, published) VALUES ('', 'a.png', true)")
        assert list(records().values()) == [("a.png", "pending")]
    finally:
        Picture._meta.db_table = former


def test_triggers__that_are_gone_leave_no_function(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {key: source for key, source in registry._sources.items() if key[0] is not Picture}
    monkeypatch.setattr(registry, "_sources", kept)
    run("DROP TRIGGER {} ON testapp_picture".format(sorted(names_on("testapp_picture"))[0]))
    triggers.drop_obsolete_triggers(registry.get_sources(), ALIAS)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_proc WHERE proname ~ %s", [triggers._OF_TRIGGERS])
        assert cursor.fetchone() == (len(names()),)


def names_on(table: str) -> set[str]:
    return {trigger.name for trigger in triggers._existing_triggers(ALIAS) if trigger.table == table}


def test_triggers__of_the_version_that_had_one_function_for_all_are_replaced(make_picture: Any) -> None:
    run(triggers.DROP_FUNCTIONS)
    run(
        "CREATE FUNCTION similar_images_track() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'obsolete'; END $$"
    )
    run(
        "CREATE TRIGGER similar_images_insert_0123456789abcdef AFTER INSERT ON testapp_picture "
        "FOR EACH STATEMENT EXECUTE FUNCTION similar_images_track('testapp', 'picture', 'image')"
    )
    signals.prepare_database(using=ALIAS)
    item = make_picture(1)
    assert records() == {str(item.pk): (item.image.name, "pending")}
    assert len(names()) == 3 * len(registry.get_sources())


def test_triggers__of_former_definitions_stay_while_a_table_is_locked(
    monkeypatch: pytest.MonkeyPatch, make_picture: Any, tmp_path: Any
) -> None:
    before, definition = names(), tmp_path / "trigger.sql"
    definition.write_text(triggers._TRIGGER_SQL.read_text().replace("RETURN NULL;", "RETURN NULL; -- another", 1))
    monkeypatch.setattr(triggers, "_TRIGGER_SQL", definition)
    triggers.drop_obsolete_triggers(registry.get_sources(), ALIAS)
    assert names() == before, "those of the new definition could not be created"
    item = make_picture(1)
    assert records() == {str(item.pk): (item.image.name, "pending")}
    signals.prepare_database(using=ALIAS)
    assert not names() & before
    assert len(names()) == len(before)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["0013", "0011"])
def test_migration__to_a_former_state_and_back_raises_nothing(name: str) -> None:
    """`migrate` runs the checks before, and the signal after it."""
    from similar_images.checks import backends, tables

    executor = MigrationExecutor(connection)
    (leaf,) = executor.loader.graph.leaf_nodes("similar_images")
    (target,) = [
        node for node in executor.loader.graph.nodes if node[0] == "similar_images" and node[1].startswith(name)
    ]
    try:
        commands.run("migrate", *target, database=ALIAS, verbosity=0)
        assert not tables.has_tables([ALIAS])
        assert backends.check_served_versions(databases=[ALIAS]) == []
    finally:
        commands.run("migrate", *leaf, database=ALIAS, verbosity=0)
    assert tables.has_tables([ALIAS])
    assert triggers.missing_triggers(registry.get_sources(), ALIAS) == {}
