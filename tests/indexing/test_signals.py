"""Objects that are saved, replaced and deleted through the ORM: their records, and who is notified."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.apps.registry import Apps
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import connections, models, transaction
from django.db.models.signals import post_save
from django.test.utils import isolate_apps
from django.utils import timezone

import similar_images
from similar_images import registry
from similar_images.indexing import notices, notify, signals, sweep
from similar_images.models import IndexedImage, ReindexRequest, Signature, Source
from similar_images.registry import ImageSource
from tests import drawing
from tests.databases import ALIAS, connection
from tests.testapp.models import (
    Couple,
    FramedPicture,
    NamedPicture,
    Picture,
    PictureProxy,
    Shelf,
    Unregistered,
    UuidPicture,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def notifications(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Record the calls of `notify_workers` instead of sending anything."""
    calls: list[None] = []
    monkeypatch.setattr(notify, "notify_workers", lambda: calls.append(None))
    return calls


def record_of(item: Any) -> IndexedImage:
    return IndexedImage.objects.get(object_id=str(item.pk))


def test_save__writes_a_pending_record_and_notifies_after_the_commit(
    notifications: list[None], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(using=ALIAS, execute=True):
        item = Picture.objects.create(image=drawing.file())
        assert not notifications
    assert len(notifications) == 1
    record = record_of(item)
    assert (record.status, record.file_name, record.object_key) == ("pending", item.image.name, item.pk)
    assert str(record.source) == "testapp.picture.image"


@pytest.mark.django_db(transaction=True)
def test_save__rolled_back_leaves_no_record_and_notifies_nobody(notifications: list[None]) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=ALIAS):
        Picture.objects.create(image=drawing.file())
        assert IndexedImage.primary.count() == 1
        raise ZeroDivisionError
    assert not notifications
    assert not IndexedImage.objects.exists()
    Picture.objects.create(image=drawing.file())  # the rolled-back source row is not remembered
    assert len(notifications) == IndexedImage.objects.count() == 1


def test_save__without_a_file_writes_nothing(notifications: list[None]) -> None:
    Picture.objects.create()
    UuidPicture.objects.create()
    assert not IndexedImage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_save__is_not_broken_by_a_failing_notification(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def fail() -> None:
        calls.append("notify_workers")
        raise RuntimeError

    monkeypatch.setattr(notify, "notify_workers", fail)
    with transaction.atomic(using=ALIAS):
        Picture.objects.create(image=drawing.file())
        transaction.on_commit(lambda: calls.append("another callback"), using=ALIAS)
    assert calls == ["notify_workers", "another callback"]
    assert IndexedImage.objects.count() == 1


def test_save__in_each_block_of_a_test_case_notifies(
    notifications: list[None], django_capture_on_commit_callbacks: Any
) -> None:
    """What is captured and called stays among what waits for a commit that never comes."""
    for number in range(1, 3):
        with django_capture_on_commit_callbacks(using=ALIAS, execute=True):
            Picture.objects.create(image=drawing.file())
        assert len(notifications) == number


@pytest.mark.django_db(transaction=True)
def test_save__in_a_transaction_that_django_does_not_manage(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Picture._meta.get_field("image"), "storage", FileSystemStorage(allow_overwrite=True))
    item = make_picture(1)
    index_now()
    transaction.set_autocommit(False, using=ALIAS)
    try:
        item.image.save(item.image.name.rpartition("/")[2], drawing.file(2))
        Picture.objects.create(image=drawing.file(3))
        transaction.commit(using=ALIAS)
    finally:
        transaction.set_autocommit(True, using=ALIAS)
    assert ReindexRequest.objects.get().file_name == item.image.name, "it is due after CLAIM_TIMEOUT"
    assert IndexedImage.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_save__raw_notifies_once(notifications: list[None]) -> None:
    """A fixture may have thousands of objects; a revision that is reverted to is saved in the same way."""
    items = [Picture(pk=90 + number, image=f"pictures/loaded{number}.png") for number in range(9)]
    with transaction.atomic(using=ALIAS):
        for item in items:
            item.save_base(raw=True)
        assert not notifications
    assert record_of(items[0]).file_name == "pictures/loaded0.png"
    assert len(notifications) == 1


class RecordsElsewhere:
    """A router that keeps the image records in another database than the objects."""

    def db_for_write(self, model: type[Any], **hints: Any) -> str | None:
        return "other" if model is IndexedImage else None


def test_other_databases__are_not_followed(
    make_picture: Any, settings: Any, notifications: list[None], django_capture_on_commit_callbacks: Any
) -> None:
    item = make_picture()
    settings.DATABASE_ROUTERS = ["tests.indexing.test_signals.RecordsElsewhere", *settings.DATABASE_ROUTERS]
    with django_capture_on_commit_callbacks(using=ALIAS, execute=True):
        make_picture(1)
        item.image.save("new.png", drawing.file(2))
        item.delete()
        signals.prepare_database(using=ALIAS)
    assert not notifications


def test_save__of_other_fields_changes_nothing(make_picture: Any, index_now: Any, notifications: list[None]) -> None:
    item = make_picture()
    index_now()
    before = IndexedImage.objects.values().get()
    item.title = "Another title"
    item.save()
    item.save(update_fields=["title"])
    item.refresh_from_db()
    item.save()
    Picture.objects.get().save()
    assert IndexedImage.objects.values().get() == before
    assert Signature.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["loaded", "saved", "without a file"])
def test_save__of_an_unchanged_picture_costs_no_query_and_notifies_nobody(
    make_picture: Any, notifications: list[None], django_assert_num_queries: Any, way: str
) -> None:
    item = Picture.objects.create() if way == "without a file" else make_picture()
    if way == "loaded":
        item = Picture.objects.get()
    notifications.clear()
    with django_assert_num_queries(1):
        item.title = "Another title"
        item.save()
    assert not notifications


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "change",
    [
        lambda item: setattr(item, "image", "pictures/other.png"),
        lambda item: setattr(item.image, "name", "pictures/other.png"),
        lambda item: (setattr(item, "image", ""), item.save(), setattr(item, "image", "pictures/other.png")),
    ],
    ids=["assigned", "renamed", "emptied first"],
)
def test_save__of_another_name_notifies(make_picture: Any, notifications: list[None], change: Any) -> None:
    make_picture()
    item = Picture.objects.get()
    notifications.clear()
    change(item)
    item.save()
    assert len(notifications) == 1
    assert record_of(item).file_name == "pictures/other.png"
    item.save()
    assert len(notifications) == 1


@pytest.mark.django_db(transaction=True)
def test_save__of_an_object_made_with_a_known_key_notifies(make_picture: Any, notifications: list[None]) -> None:
    item = make_picture()
    notifications.clear()
    Picture(pk=item.pk, image="pictures/other.png").save()
    assert len(notifications) == 1


@pytest.mark.django_db(transaction=True)
def test_save__after_one_that_was_rolled_back_notifies(make_picture: Any, notifications: list[None]) -> None:
    make_picture()
    item = Picture.objects.get()
    item.image = "pictures/other.png"
    notifications.clear()
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=ALIAS):
        item.save()
        raise ZeroDivisionError
    assert not notifications
    item.save()
    assert len(notifications) == 1


@pytest.mark.django_db(transaction=True)
def test_statements__without_signals_notify_once_for_a_transaction(notifications: list[None]) -> None:
    Picture.objects.bulk_create(Picture(image=f"pictures/{number}.png") for number in range(3))
    assert len(notifications) == 1
    with transaction.atomic(using=ALIAS):
        Picture.objects.update(image="pictures/other.png")
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO testapp_picture (title, image, published) VALUES ('', 'a.png', true)")
        assert len(notifications) == 1
    assert len(notifications) == 2
    with transaction.atomic(using=ALIAS):
        Picture.objects.update(title="Another title")
        Picture.objects.all().delete()
    assert len(notifications) == 2


@pytest.mark.django_db(transaction=True)
def test_statements__of_a_savepoint_that_is_rolled_back_notify_nobody(notifications: list[None]) -> None:
    with transaction.atomic(using=ALIAS), pytest.raises(ZeroDivisionError), transaction.atomic(using=ALIAS):
        Picture.objects.bulk_create([Picture(image="pictures/a.png")])
        raise ZeroDivisionError
    assert not notifications
    with transaction.atomic(using=ALIAS):
        with pytest.raises(ZeroDivisionError), transaction.atomic(using=ALIAS):
            Picture.objects.bulk_create([Picture(image="pictures/a.png")])
            raise ZeroDivisionError
        Picture.objects.bulk_create([Picture(image="pictures/b.png")])
    assert len(notifications) == 1


@pytest.mark.django_db(transaction=True)
def test_save__in_autocommit_after_an_update_notifies_of_both(notifications: list[None], make_picture: Any) -> None:
    """The update is committed when nobody listens any more; the next save tells of it."""
    item = make_picture()
    notifications.clear()
    Picture.objects.update(image="pictures/other.png")
    assert not notifications
    Picture.objects.get(pk=item.pk).save(update_fields=["title"])
    assert len(notifications) == 1


@pytest.mark.django_db(transaction=True)
def test_notices__of_a_pooled_connection_reach_who_has_it_now(notifications: list[None]) -> None:
    """A connection of psycopg that another one of Django has had."""
    connections[ALIAS].ensure_connection()
    for _turn in range(2):
        notices.listen(connections[ALIAS])
    Picture.objects.bulk_create([Picture(image="pictures/a.png")])
    assert len(notifications) == 1
    lent = connections.create_connection(ALIAS)
    lent.connection = connections[ALIAS].connection
    notices.listen(lent)
    Picture.objects.create(image="pictures/b.png")
    assert (notices.take(connections[ALIAS]), notices.take(lent)) == (None, False)


@pytest.mark.django_db(transaction=True)
def test_upload__notifies_where_notices_are_not_sent(notifications: list[None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET client_min_messages = warning")
    try:
        Picture.objects.create(image=drawing.file())
        with transaction.atomic(using=ALIAS):
            Picture.objects.create(image=drawing.file())
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET client_min_messages")
    assert len(notifications) == 2


@pytest.mark.django_db(transaction=True)
def test_worker__does_not_notify_itself(make_picture: Any, index_now: Any, notifications: list[None]) -> None:
    item = make_picture()
    ReindexRequest.objects.create(file_name=item.image.name, due_at=timezone.now())
    notifications.clear()
    assert len(index_now()) == 1
    assert not notifications


@pytest.mark.django_db(transaction=True)
def test_save__of_other_fields_costs_no_query_before_the_commit(
    make_picture: Any, index_now: Any, django_assert_num_queries: Any
) -> None:
    item = make_picture()
    index_now()
    with transaction.atomic(using=ALIAS), django_assert_num_queries(1):
        item.save(update_fields=["title"])
    with transaction.atomic(using=ALIAS), django_assert_num_queries(1):
        item.save()


@pytest.mark.django_db(transaction=True)
def test_save__of_a_new_file_costs_one_query_more(django_assert_num_queries: Any, make_picture: Any) -> None:
    item = make_picture()  # the source's id is known from now on
    with django_assert_num_queries(1 + 1):
        Picture.objects.create(image=drawing.file(1))
    with transaction.atomic(using=ALIAS), django_assert_num_queries(1 + 1):
        item.image.save("new.png", drawing.file(2))


@pytest.mark.parametrize("way", ["assign", "save", "assign_name"])
def test_replace__drops_the_old_signatures_at_once(make_picture: Any, index_now: Any, way: str) -> None:
    item, twin = make_picture(1), make_picture(1)
    index_now()
    assert [match.object for match in similar_images.similar_to(twin)] == [item]
    item = Picture.objects.get(pk=item.pk)
    if way == "assign":
        item.image = drawing.file(2)
        item.save()
    elif way == "save":
        item.image.save("new.png", drawing.file(2))
    else:
        item.image = item.image.storage.save("elsewhere.png", drawing.file(2))
        item.save()
    assert record_of(item).status == "pending"
    assert not Signature.objects.filter(record__object_id=item.pk).exists()
    assert similar_images.similar_to(twin) == []
    index_now()
    (match,) = similar_images.similar_to(twin)
    assert match.similarity < 100


def test_replace__by_another_name_with_the_same_bytes_is_a_new_picture(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    index_now()
    revision = record_of(item).revision
    item.image.save("renamed.png", drawing.file(1))
    record = record_of(item)
    assert (record.status, record.file_name) == ("pending", "pictures/renamed.png")
    assert record.revision != revision
    index_now()
    assert record_of(item).status == "indexed"


@pytest.mark.parametrize("way", ["overwritten", "deleted_before", "assigned"])
def test_replace__under_the_same_name_is_detected(
    make_picture: Any,
    index_now: Any,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    item, twin = make_picture(1), make_picture(1)
    index_now()
    item = Picture.objects.get(pk=item.pk)
    name = item.image.name
    short = name.rpartition("/")[2]
    if way == "deleted_before":
        item.image.delete(save=False)
    else:
        monkeypatch.setattr(Picture._meta.get_field("image"), "storage", FileSystemStorage(allow_overwrite=True))
        item = Picture.objects.get(pk=item.pk)
    with django_capture_on_commit_callbacks(using=ALIAS, execute=True):
        if way == "assigned":
            item.image = drawing.file(2, name=short)
            item.save()
        else:
            item.image.save(short, drawing.file(2))
    assert item.image.name == name
    assert IndexedImage.objects.get_status(registry.get_source(Picture), item.pk) == "pending"
    assert similar_images.similar_to(twin) == similar_images.similar_to(item) == []
    index_now()
    (match,) = similar_images.similar_to(twin)
    assert match.similarity < 100


def test_replace__is_requested_once(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    item.image.save("new.png", drawing.file(2))
    revision = record_of(item).revision
    item.save()
    assert record_of(item).revision == revision
    index_now()
    item.save()
    assert record_of(item).status == "indexed"


@pytest.mark.parametrize("way", ["update_or_create", "assign", "assign_fresh"])
def test_replace__by_its_own_name_changes_nothing(make_picture: Any, index_now: Any, way: str) -> None:
    item = make_picture(1)
    index_now()
    before = IndexedImage.objects.values().get()
    if way == "update_or_create":
        Picture.objects.update_or_create(pk=item.pk, defaults={"image": item.image.name})
    else:
        item = Picture.objects.get(pk=item.pk) if way == "assign_fresh" else item
        item.image = item.image.name
        item.save()
    assert IndexedImage.objects.values().get() == before
    assert Signature.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_replace__rolled_back_and_saved_again_is_requested(
    make_picture: Any, index_now: Any, monkeypatch: pytest.MonkeyPatch, notifications: list[None]
) -> None:
    """The file was overwritten for good: storages know no rollback."""
    monkeypatch.setattr(Picture._meta.get_field("image"), "storage", FileSystemStorage(allow_overwrite=True))
    item = make_picture(1)
    index_now()
    notifications.clear()
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=ALIAS):
        item.image.save(item.image.name.rpartition("/")[2], drawing.file(2))
        raise ZeroDivisionError
    source = registry.get_source(Picture)
    assert (IndexedImage.objects.get_status(source, item.pk), notifications) == ("pending", [])
    assert index_now() == [], "whether the file will be written is known after CLAIM_TIMEOUT, or once it is saved"
    item.save()
    assert len(notifications) == 1
    assert len(index_now()) == 1
    item.save()
    assert len(notifications) == 1


def test_replace__waits_for_a_save_that_writes_the_field(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    index_now()
    item.image = drawing.file(2)
    item.save(update_fields=["title"])
    assert record_of(item).status == "indexed"
    item.save(update_fields=["image"])
    assert record_of(item).status == "pending"


def test_clear__deletes_the_record(make_picture: Any, index_now: Any) -> None:
    item = make_picture()
    index_now()
    item.image = ""
    item.save()
    assert not IndexedImage.objects.exists()
    assert not Signature.objects.exists()


@pytest.mark.parametrize("way", ["object", "queryset", "cascade", "raw_sql_record"])
def test_delete__deletes_record_and_signatures(make_picture: Any, index_now: Any, way: str) -> None:
    shelf = Shelf.objects.create()
    gone = [make_picture(seed, shelf=shelf) for seed in range(2)]
    stays = make_picture(3)
    index_now()
    if way == "object":
        for item in gone:
            item.delete()
    elif way == "queryset":
        Picture.objects.filter(shelf=shelf).delete()
    elif way == "cascade":
        shelf.delete()
    else:
        IndexedImage.objects.filter(object_id__in=[item.pk for item in gone]).delete()
    assert [record.object_id for record in IndexedImage.objects.all()] == [str(stays.pk)]
    assert Signature.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_delete__rolled_back_keeps_record_and_signatures(
    make_picture: Any, index_now: Any, notifications: list[None]
) -> None:
    item = make_picture()
    index_now()
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=ALIAS):
        item.delete()
        assert not IndexedImage.primary.exists()
        raise ZeroDivisionError
    assert Signature.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_delete__costs_no_query_more(make_picture: Any, index_now: Any, django_assert_num_queries: Any) -> None:
    item = Unregistered.objects.create(image=drawing.file())
    with transaction.atomic(using=ALIAS), django_assert_num_queries(1):
        item.delete()
    named = NamedPicture.objects.create(name="one", image=drawing.file())
    index_now()
    with transaction.atomic(using=ALIAS), django_assert_num_queries(1):
        named.delete()


def test_inheritance__children_and_proxies_are_followed(index_now: Any) -> None:
    framed = FramedPicture.objects.create(image=drawing.file(1), frame="oak")
    proxied = PictureProxy.objects.create(image=drawing.file(1))
    index_now()
    assert IndexedImage.objects.filter(status="indexed").count() == 2
    (match,) = similar_images.similar_to(framed)
    assert match.object == Picture.objects.get(pk=proxied.pk)
    framed.image.save("new.png", drawing.file(2))
    assert record_of(framed).status == "pending"
    framed.delete()
    proxied.delete()
    assert not IndexedImage.objects.exists()


@isolate_apps("tests.testapp")
def test_inheritance__children_of_abstract_children_are_followed() -> None:
    class Base(models.Model):
        image = models.ImageField()

        class Meta:
            app_label = "testapp"

    class Abstract(Base):
        class Meta:
            app_label = "testapp"
            abstract = True

    class Grandchild(Abstract):
        class Meta:
            app_label = "testapp"

    signals.connect(ImageSource(Base, "image"))
    try:
        assert post_save.has_listeners(Base)
        assert post_save.has_listeners(Grandchild)
    finally:
        for model in (Base, Abstract, Grandchild):
            post_save.disconnect(sender=model, dispatch_uid=f"{signals.__name__}.saved.{model._meta.label}")


def test_connect__twice_wraps_the_field_once() -> None:
    field = Picture._meta.get_field("image")
    hook = field.generate_filename
    assert isinstance(hook, signals.FilenameHook)
    signals.connect(registry.get_source(Picture))
    assert field.generate_filename is hook


def test_prepare_database__without_the_tables_of_the_app() -> None:
    """`migrate` may stop before the migrations of this app."""
    Source.objects.all().delete()
    signals.prepare_database(using=ALIAS, apps=Apps())
    assert not Source.objects.exists()
    signals.prepare_database(using=ALIAS)
    assert Source.objects.count() == len(registry.get_sources())


def test_prepare_database__with_a_wrong_setting_still_lets_migrate_run(configure: Any) -> None:
    configure(METHODS={"nope": {}})
    Source.objects.all().delete()
    signals.prepare_database(using=ALIAS)
    assert Source.objects.count() == len(registry.get_sources())


def test_inheritance__deleting_a_child_alone_keeps_the_record(index_now: Any) -> None:
    framed = FramedPicture.objects.create(image=drawing.file(1), frame="oak")
    index_now()
    framed.delete(keep_parents=True)
    assert [record.object_id for record in IndexedImage.objects.all()] == [str(Picture.objects.get().pk)]
    assert Signature.objects.count() == 2
    again = FramedPicture(picture_ptr=Picture.objects.get(), frame="elm")
    again.save_base(raw=True)
    FramedPicture.objects.get().delete()
    assert not Picture.objects.exists()
    assert not IndexedImage.objects.exists()
    assert not Signature.objects.exists()


KEY = uuid.UUID("5cef0492-5e08-449f-9715-7ff171018743")


@pytest.mark.parametrize("spelling", [str(KEY), str(KEY).upper(), KEY.hex, f"{{{KEY}}}", KEY.urn])
def test_keys__are_equal_in_every_notation(spelling: str, index_now: Any) -> None:
    item = UuidPicture.objects.create(pk=spelling, image=drawing.file(1))
    other = UuidPicture.objects.create(image=drawing.file(1))
    index_now()
    assert set(IndexedImage.objects.values_list("object_id", "status")) == {
        (str(KEY), "indexed"),
        (str(other.pk), "indexed"),
    }
    assert [match.object for match in similar_images.similar_to(item)] == [other]
    assert [match.object.pk for match in similar_images.similar_to(other)] == [KEY]
    assert similar_images.similar_to(other, exclude=[item]) == []
    item.delete()
    assert [record.object_id for record in IndexedImage.objects.all()] == [str(other.pk)]
    assert sweep.sweep_sources() == 0


def test_keys__may_be_long(index_now: Any) -> None:
    first, second = (NamedPicture.objects.create(name=letter * 500, image=drawing.file(1)) for letter in "ab")
    assert sweep.sweep_sources() == 2
    index_now()
    assert [match.object for match in similar_images.similar_to(first)] == [second]
    second.delete()
    assert [record.object_id for record in IndexedImage.objects.all()] == [first.pk]


def test_keys__of_every_kind_are_found(index_now: Any) -> None:
    for make in (
        lambda seed: UuidPicture.objects.create(image=drawing.file(seed)),
        lambda seed: NamedPicture.objects.create(name=f"a/b {seed} ä", image=drawing.file(seed)),
    ):
        first, second = make(1), make(2)
        index_now()
        assert [match.object for match in similar_images.similar_to(first)] == [second]
        second.delete()
        assert similar_images.similar_to(first) == []


def test_fields__two_of_one_model_are_two_sources(index_now: Any) -> None:
    one = Couple.objects.create(front=drawing.file(1), back=drawing.file(2))
    two = Couple.objects.create(front=drawing.file(3), back=drawing.file(2))
    index_now()
    assert IndexedImage.objects.count() == 4
    assert similar_images.similar_to(one, field="front")[0].similarity < 100
    assert similar_images.similar_to(one, field="back")[0].similarity == 100
    two.back.delete()
    assert similar_images.similar_to(one, field="back") == []
    assert len(similar_images.similar_to(one, field="front")) == 1


def test_unregistered__models_are_ignored() -> None:
    Unregistered.objects.create(image=drawing.file())
    assert not IndexedImage.objects.exists()


def test_broken_image__is_saved_like_any_other(index_now: Any) -> None:
    item = Picture.objects.create(image=ContentFile(b"no picture", name="broken.png"))
    index_now()
    record = record_of(item)
    assert record.status == "failed"
    assert "not an image" in record.error
