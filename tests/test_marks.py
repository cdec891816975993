"""What people said of two pictures holds, on every surface, whatever their signatures say."""

from __future__ import annotations

import io
from itertools import combinations
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import router, transaction
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import similar_images
from similar_images import marks, registry
from similar_images.indexing import claims, sweep, worker
from similar_images.models import IndexedImage, Mark, Source
from similar_images.search.sql import unmarked_condition
from tests import drawing
from tests.databases import ALIAS, VARIANT, connection
from tests.items import matched_objects, save_gray
from tests.testapp.models import Couple, FramedPicture, NamedPicture, Picture, Shelf, UuidPicture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]


def found(query: Any, **options: Any) -> list[Any]:
    return matched_objects(similar_images.similar_to(query, **options))


def test_mark__a_pair_that_is_not_alike_never_comes_back_either_way(gray_pictures: list[Picture]) -> None:
    a, b, *_rest = gray_pictures
    assert found(a)[0] == b
    similar_images.mark(a, b, alike=False)
    assert found(a) == gray_pictures[2:]
    assert found(b) == gray_pictures[2:]
    assert found(gray_pictures[2], limit=2) == [b, gray_pictures[3]], "others still find them"


def test_mark__holds_for_a_part_of_the_picture(gray_pictures: list[Picture], client: Any) -> None:
    a, b, *_rest = gray_pictures
    similar_images.mark(a, b, alike=False)
    whole = (0, 0, 1, 1)
    assert b not in found(a, box=whole)
    assert b not in Picture.objects.similar_to(a, box=whole)
    results = client.get(f"/api/similar-images/testapp.picture/{a.pk}/similar/", {"box": "0,0,1,1"}).json()["results"]
    assert str(b.pk) not in [row["pk"] for row in results]
    assert similar_images.why_not(a, b, box=whole).code == "marked"


def test_mark__alike_hides_nothing(gray_pictures: list[Picture]) -> None:
    similar_images.mark(gray_pictures[0], gray_pictures[1], alike=True)
    assert found(gray_pictures[0]) == gray_pictures[1:]


def test_mark__the_page_is_filled_all_the_same(gray_pictures: list[Picture]) -> None:
    for other in (gray_pictures[1], gray_pictures[3]):
        similar_images.mark(other, gray_pictures[0], alike=False)
    assert found(gray_pictures[0], limit=3) == [gray_pictures[2], gray_pictures[4], gray_pictures[5]]


def test_mark__holds_on_every_surface(gray_pictures: list[Picture], client: Any) -> None:
    from django.template import Context, Template

    a, b, c, *_rest = gray_pictures
    similar_images.mark(b, a, alike=False)
    assert list(Picture.objects.similar_to(a, limit=1)) == [c]
    answer = client.get(f"/api/similar-images/testapp.picture/{a.pk}/similar/", {"limit": 1}).json()
    assert [row["pk"] for row in answer["results"]] == [str(c.pk)]
    page = client.get(f"/similar-images/testapp.picture/{a.pk}/").content.decode()
    widget = Template("{% load similar_images %}{% similar_items_widget item %}").render(Context({"item": a}))
    for html in (page, widget):
        assert b.image.url not in html
        assert c.image.url in html


def test_mark__costs_no_query_and_uses_the_indexes(
    gray_pictures: list[Picture], django_assert_num_queries: Any
) -> None:
    a, b, *_rest = gray_pictures
    similar_images.mark(a, b, alike=False)
    with django_assert_num_queries(4):
        assert len(found(a)) == 8
    ids = [str(number) for number in range(1_000_000, 1_000_200)]
    source_id = Source.objects.get_id(registry.get_source(Picture))
    IndexedImage.objects.bulk_create(IndexedImage(source_id=source_id, object_id=pk, file_name="x") for pk in ids)
    Mark.objects.bulk_create(
        Mark(source_id=source_id, first_id=first, second_id=second, is_alike=False)
        for first, second in combinations(ids, 2)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE similar_images_mark")
    source_id = Source.objects.get_id(registry.get_source(Picture))
    plan = IndexedImage.objects.filter(unmarked_condition(source_id, {"1100"})).explain()
    assert "similar_images_mark_unique" in plan
    assert "similar_images_mark_second" in plan


def test_mark__is_kept_once_with_who_and_when(gray_pictures: list[Picture]) -> None:
    a, b, *_rest = gray_pictures
    editor, other = User.objects.create(username="editor"), User.objects.create(username="other")
    before = timezone.now()
    first = similar_images.mark(a, b, alike=False, user=editor)
    assert (first.marked_by, first.is_alike) == (editor, False)
    similar_images.mark(b, a, alike=True, user=other)
    kept = Mark.objects.get()
    assert (kept.pk, kept.is_alike, kept.marked_by) == (first.pk, True, other)
    assert before < first.marked_at < kept.marked_at < timezone.now()
    assert kept.first_id < kept.second_id
    similar_images.mark(a, b, alike=True, user=AnonymousUser())
    kept.refresh_from_db()
    assert kept.marked_by is None


def test_mark__outlives_who_made_it(gray_pictures: list[Picture]) -> None:
    editor = User.objects.create(username="editor")
    similar_images.mark(gray_pictures[0], gray_pictures[1], alike=False, user=editor)
    with TestCase.captureOnCommitCallbacks(using=router.db_for_write(User), execute=True):
        editor.delete()
    assert Mark.objects.get().marked_by is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(VARIANT == "alias", reason="PostgreSQL does not know users in another database")
def test_mark__by_a_user_who_is_gone_is_refused_at_once(index_now: Any) -> None:
    a, b = save_gray(1), save_gray(2)
    index_now()
    editor = User.objects.create(username="editor")
    same_editor = User.objects.get()
    editor.delete()
    with transaction.atomic(using=ALIAS):
        for user in (same_editor, User(pk=987_654)):
            with pytest.raises(ValueError, match="This user does not exist anymore"):
                similar_images.mark(a, b, alike=True, user=user)
        similar_images.mark(a, b, alike=True, user=User(username="not saved"))
    assert Mark.objects.get().marked_by is None


def test_unmark__brings_the_pair_back(gray_pictures: list[Picture]) -> None:
    a, b, *_rest = gray_pictures
    similar_images.mark(a, b, alike=False)
    assert similar_images.unmark(b, a)
    assert not similar_images.unmark(b, a)
    assert found(a)[0] == b


def test_marks__go_with_an_object_in_its_own_query(gray_pictures: list[Picture]) -> None:
    a, b, c, *_rest = gray_pictures
    with CaptureQueriesContext(connection) as before:
        gray_pictures[-1].delete()
    for other in (b, c):
        similar_images.mark(a, other, alike=False)
    similar_images.mark(b, c, alike=True)
    with CaptureQueriesContext(connection) as after:
        a.delete()
    assert len(after) == len(before)
    assert Mark.objects.get().first_id == str(b.pk)
    Picture.objects.filter(pk=c.pk)._raw_delete(ALIAS)
    sweep.sweep_sources()
    assert not Mark.objects.exists()


def test_marks__stay_when_a_picture_is_replaced_or_indexed_again(gray_pictures: list[Picture], index_now: Any) -> None:
    a, b, *_rest = gray_pictures
    similar_images.mark(a, b, alike=False)
    a.image = drawing.file(1, name="new.png")
    a.save()
    IndexedImage.objects.all().reset()
    index_now()
    assert b not in found(a)


def test_mark__keys_of_every_kind_and_a_mark_per_field(index_now: Any) -> None:
    uuids = [UuidPicture.objects.create(image=drawing.file(seed)) for seed in (1, 2)]
    named = [NamedPicture.objects.create(name=name, image=drawing.file(1)) for name in ("10", 'say "x"? ☂')]
    couples = [Couple.objects.create(front=drawing.file(1), back=drawing.file(2)) for _ in range(2)]
    framed = FramedPicture.objects.create(image=drawing.file(1)), Picture.objects.create(image=drawing.file(1))
    index_now()
    for a, b in (uuids, named, couples, framed):
        field = "front" if a is couples[0] else None
        assert found(a, field=field) == [Picture.objects.get(pk=b.pk) if b is framed[1] else b]
        similar_images.mark(a, b, alike=False, field=field)
        assert found(a, field=field) == found(b, field=field) == []
    assert found(couples[0], field="back") == [couples[1]]
    similar_images.mark(*couples, alike=False, field="back")
    assert found(couples[0], field="back") == []


def test_mark__nonsense_is_told(gray_pictures: list[Picture]) -> None:
    bare, other = Picture.objects.create(), NamedPicture.objects.create(name="x", image=drawing.file(1))
    for a, b in (
        (gray_pictures[0], gray_pictures[0]),
        (gray_pictures[0], bare),
        (bare, gray_pictures[0]),
        (gray_pictures[0], Picture()),
        (gray_pictures[0], other),
    ):
        with pytest.raises(ValueError, match="can be marked"):
            similar_images.mark(a, b, alike=True)
    with pytest.raises(registry.NotRegistered):
        similar_images.mark(Shelf.objects.create(), Shelf.objects.create(), alike=True)
    assert not Mark.objects.exists(), "and the transaction goes on"


def test_mark__a_picture_to_search_with_is_nobody_s_pair(gray_pictures: list[Picture]) -> None:
    similar_images.mark(gray_pictures[0], gray_pictures[1], alike=False)
    with gray_pictures[0].image.open() as file:
        assert found(io.BytesIO(file.read()), model=Picture)[:2] == gray_pictures[:2]


@pytest.mark.django_db(transaction=True)
def test_mark__two_at_a_time_are_one(index_now: Any, run_in_thread: Any) -> None:
    a, b = save_gray(1), save_gray(2)
    index_now()
    with transaction.atomic(using=ALIAS):
        similar_images.mark(a, b, alike=False)
        theirs = run_in_thread(similar_images.mark, b, a, alike=True)
        with pytest.raises(TimeoutError):
            theirs.result(0.3)  # it waits for this transaction
    theirs.result(5)
    assert Mark.objects.get().is_alike


def test_pairs__are_what_is_learned_from(gray_pictures: list[Picture]) -> None:
    a, b, c, *_rest = gray_pictures
    similar_images.mark(b, a, alike=True)
    similar_images.mark(c, b, alike=False)
    source = registry.get_source(Picture)
    ids = [str(item.pk) for item in (a, b, c)]
    assert marks.marked_pairs(source) == [(*sorted(ids[:2]), True), (*sorted(ids[1:]), False)]
    assert marks.marked_pairs(registry.get_source(NamedPicture)) == []


@pytest.mark.django_db(transaction=True)
def test_mark__at_repeatable_read_is_not_refused_because_a_worker_wrote_meanwhile(run_in_thread: Any) -> None:
    a, b = save_gray(100), save_gray(101)
    batch = claims.claim_batch()
    with transaction.atomic(using=ALIAS):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert Picture.objects.count() == 2
        run_in_thread(worker.index_records, batch).result(30)
        similar_images.mark(a, b, alike=True)
    assert Mark.objects.get().is_alike
