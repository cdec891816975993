from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from django.utils import timezone

from similar_images import marks, registry
from similar_images.merging.merge import PlanChanged, merge_objects, plan_merge
from similar_images.merging.references import MergeRefused
from similar_images.merging.undo import forget_old_merges, undo_merge
from similar_images.models import IndexedImage, Mark, Merge, MergedRow, Signature, Source
from similar_images.sources.source import ImageSource
from tests import drawing
from tests.databases import ALIAS
from tests.mergeapp.models import (
    GENERIC_RELATIONS,
    Album,
    Asset,
    AssetProxy,
    Focus,
    License,
    LicenseFee,
    Note,
    Page,
    Placement,
    Rating,
    Rendition,
    SpecialAsset,
    Tag,
)
from tests.merging.dumps import dump
from tests.testapp.models import Attachment, FramedPicture, Picture, Scan

pytestmark = [GENERIC_RELATIONS, pytest.mark.django_db]

SOURCE = ImageSource(Asset, "image")


@pytest.fixture(autouse=True)
def _source_row(db: None) -> None:
    Source.objects.create_missing([SOURCE])


def make_asset(code: str, model: type[Asset] = Asset, **fields: Any) -> Any:
    return model.objects.create(code=code, image=drawing.file(1, f"{code}.png"), **fields)


def type_of(model: type[models.Model]) -> ContentType:
    return ContentType.objects.get_for_model(model, for_concrete_model=False)


def refer_to(asset: Asset, proxy_author: str = "Bea") -> None:
    """Create rows that refer to an asset in every way."""
    page = Page.objects.create(title=f"Page of {asset}", hero=asset, cover=asset)
    page.body = f'<p><embed id="{asset.pk}"/><embed id="other"/></p>'
    page.save()
    album = Album.objects.create()
    album.assets.add(asset)
    Placement.objects.create(
        album=album, asset_id=asset.pk, position=1, size=0.1 + 0.2, options={"b": 1, "a": [None]}, data=b"\0\xff"
    )
    License.objects.create(asset=asset, text=f"of {asset}")
    LicenseFee.objects.create(license_id=asset.pk, amount="1.50")
    Focus.objects.create(asset=asset)
    Rating.objects.create(asset=asset, is_current=True)
    Rating.objects.create(asset=asset)
    Note.objects.create(content_type=type_of(Asset), object_id=asset.pk, author="Ann")
    Note.objects.create(content_type=type_of(AssetProxy), object_id=asset.pk, author=proxy_author)
    asset.tags.add(Tag.objects.create(name=f"tag of {asset}"))
    make_asset(f"part of {asset}", parent=asset)
    asset.related.add(make_asset(f"related to {asset}"))


@pytest.fixture
def assets(configure: Any) -> list[Asset]:
    configure(MERGE_HOOKS=["tests.mergeapp.models.embedded_assets"], MERGE_IGNORE=["mergeapp.Rendition"])
    return [make_asset(code) for code in ("kept", "first", "second")]


def merge(*assets: Asset, **options: Any) -> Merge:
    return merge_objects(SOURCE, assets[0].pk, [item.pk for item in assets[1:]], **options)


def test_merge__every_kind_of_reference_is_moved_to_the_kept_object(assets: list[Asset]) -> None:
    kept, other, _third = assets
    refer_to(other)
    merge(kept, other)
    page = Page.objects.get()
    assert (page.hero, page.cover, page.body) == (kept, kept, f'<p><embed id="{kept.pk}"/><embed id="other"/></p>')
    assert Album.objects.get().assets.get() == kept
    assert Album.objects.get().sorted_assets.get() == kept
    assert License.objects.get().asset == kept
    assert LicenseFee.objects.get().license.pk == kept.pk
    assert Focus.objects.get().asset == kept
    assert [rating.asset_id for rating in Rating.objects.all()] == [kept.pk, kept.pk]
    assert {note.subject.pk for note in Note.objects.all()} == {kept.pk}
    assert kept.tags.get().name == "tag of first"
    assert kept.parts.get().code == "part of first"
    assert kept.related.get().code == "related to first"
    assert not Asset.objects.filter(code="first").exists()


@pytest.mark.parametrize("is_removal", [True, False])
@pytest.mark.parametrize("referenced", [[1], [0, 1], [1, 2], [0, 1, 2]])
def test_undo__the_database_is_equal_row_by_row(assets: list[Asset], referenced: list[int], is_removal: bool) -> None:
    """Where the kept object is referred to, too, each unique constraint is in the way of some row."""
    for index in referenced:
        refer_to(assets[index])
    Rendition.objects.create(asset=assets[1])
    assets[0].related.add(assets[1])
    before = dump("mergeapp")
    done = merge(*assets, is_removal=is_removal)
    assert dump("mergeapp") != before
    undo_merge(done.pk)
    assert dump("mergeapp") == before


def test_merge__files_stay_after_merge_and_undo(assets: list[Asset]) -> None:
    paths = [Path(item.image.path) for item in assets]
    done = merge(*assets)
    assert all(path.exists() for path in paths)
    undo_merge(done.pk)
    assert all(path.exists() for path in paths)


def test_merge__rows_that_collide_are_listed_and_deleted_with_the_others(assets: list[Asset]) -> None:
    for asset in assets[:2]:
        refer_to(asset)
    plan = plan_merge(SOURCE, assets[0].pk, [assets[1].pk], is_removal=True)
    assert {row.model for row in plan.left} == {License, Focus, Rating, Note}
    deleted = {row.model for row in plan.changes if row.kind == "deleted"}
    assert {"mergeapp.License", "mergeapp.LicenseFee", "mergeapp.Focus", "mergeapp.Note"} <= deleted
    merge(*assets[:2])
    assert License.objects.get().text == "of kept"
    assert Note.objects.filter(object_id=assets[1].pk).count() == 0


def test_merge__rows_that_collide_stay_with_others_that_are_kept(assets: list[Asset]) -> None:
    for asset in assets[:2]:
        refer_to(asset)
    merge(*assets[:2], is_removal=False)
    assert License.objects.get(asset=assets[1]).text == "of first"
    assert Page.objects.filter(hero=assets[0]).count() == 2


def test_plan__changes_nothing(assets: list[Asset]) -> None:
    for asset in assets:
        refer_to(asset)
    before = dump("mergeapp")
    plan = plan_merge(SOURCE, assets[0].pk, [assets[1].pk, assets[2].pk], is_removal=True)
    assert plan.changes
    assert dump("mergeapp") == before
    assert not Merge.objects.exists()


def test_merge__is_refused_where_a_reference_came_since_it_was_listed(assets: list[Asset]) -> None:
    kept, other, _third = assets
    plan = plan_merge(SOURCE, kept.pk, [other.pk], is_removal=True)
    Page.objects.create(title="new", hero=other)
    before = dump("mergeapp")
    with pytest.raises(PlanChanged):
        merge(kept, other, fingerprint=plan.fingerprint)
    assert dump("mergeapp") == before
    assert not Merge.objects.exists()
    plan = plan_merge(SOURCE, kept.pk, [other.pk], is_removal=True)
    merge(kept, other, fingerprint=plan.fingerprint)
    assert Page.objects.get().hero == kept


def test_merge__is_refused_where_an_object_is_gone(assets: list[Asset]) -> None:
    merge(*assets[:2])
    with pytest.raises(MergeRefused, match="deleted or merged"):
        merge(*assets[:2])


def test_merge__is_refused_where_the_kept_object_would_go_with_the_others(configure: Any) -> None:
    special, plain = make_asset("special", SpecialAsset), make_asset("plain")
    with pytest.raises(MergeRefused, match="Only some"):
        merge(plain, special)
    with pytest.raises(MergeRefused, match="Only some"):
        merge(special, plain)


def test_merge__children_of_a_model_and_what_refers_to_them_are_moved(assets: list[Asset]) -> None:
    a, b = make_asset("a", SpecialAsset), make_asset("b", SpecialAsset)
    page = Page.objects.create(title="page", special=b, hero=b)
    before = dump("mergeapp")
    done = merge(a, b)
    page.refresh_from_db()
    assert (page.special, page.hero_id) == (a, a.pk)
    assert not SpecialAsset.objects.filter(code="b").exists()
    undo_merge(done.pk)
    assert dump("mergeapp") == before


def test_undo__keeps_what_was_changed_since(assets: list[Asset]) -> None:
    kept, other, third = assets
    first, second = (Page.objects.create(title=title, hero=other) for title in ("first", "second"))
    done = merge(kept, other)
    Page.objects.filter(pk=first.pk).update(hero=third, title="changed")
    Page.objects.filter(pk=second.pk).update(title="changed")
    undone = undo_merge(done.pk)
    assert undone.skipped == 1
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.hero, second.hero, second.title) == (third, other, "changed")


def test_undo__is_refused_where_another_row_has_taken_the_place(assets: list[Asset]) -> None:
    done = merge(*assets[:2])
    make_asset("first")
    before = dump("mergeapp")
    with pytest.raises(MergeRefused, match="taken its place"):
        undo_merge(done.pk)
    assert dump("mergeapp") == before


def test_undo__once_and_for_a_set_time(assets: list[Asset], configure: Any) -> None:
    done = merge(*assets[:2])
    undo_merge(done.pk)
    with pytest.raises(MergeRefused):
        undo_merge(done.pk)
    done = merge(*assets[:2])
    configure(MERGE_UNDO_DAYS=1)
    assert forget_old_merges() == 0
    Merge.objects.filter(pk=done.pk).update(merged_at=timezone.now() - timedelta(days=2))
    with pytest.raises(MergeRefused):
        undo_merge(done.pk)
    assert forget_old_merges() == 1
    assert not MergedRow.objects.filter(merge=done).exists()


def test_undo__records_signatures_and_marks_are_as_before(gray_pictures: list[Picture], index_now: Any) -> None:
    source = registry.get_source(Picture)
    marks.mark(gray_pictures[1], gray_pictures[5], alike=False)
    marks.mark(gray_pictures[0], gray_pictures[1], alike=True)
    Attachment.objects.create(
        content_type=type_of(Picture), object_id=gray_pictures[1].pk, image=drawing.file(3, "attachment.png")
    )
    index_now()
    before = dump("testapp", "similar_images")
    done = merge_objects(source, gray_pictures[0].pk, [gray_pictures[1].pk])
    assert not IndexedImage.objects.for_source(source).filter(object_id=str(gray_pictures[1].pk)).exists()
    assert not Mark.objects.exists()
    undo_merge(done.pk)
    assert dump("testapp", "similar_images") == before
    assert Signature.objects.filter(record__object_id=str(gray_pictures[1].pk)).exists()


def test_merge__an_inherited_source_has_its_rows_in_both_tables(mean_method: None, index_now: Any) -> None:
    items = [Scan.objects.create(file=drawing.file(seed, f"{seed}.png")) for seed in (1, 2)]
    index_now()
    before = dump("testapp", "similar_images")
    done = merge_objects(registry.get_source(Scan), items[0].pk, [items[1].pk])
    assert Scan.objects.get() == items[0]
    undo_merge(done.pk)
    assert dump("testapp", "similar_images") == before


def test_merge__a_child_of_the_source_is_no_reference_to_it(mean_method: None, index_now: Any) -> None:
    items = [FramedPicture.objects.create(image=drawing.file(seed), frame=str(seed)) for seed in (1, 2)]
    index_now()
    before = dump("testapp", "similar_images")
    done = merge_objects(registry.get_source(Picture), items[0].pk, [items[1].pk])
    assert FramedPicture.objects.get() == items[0]
    undo_merge(done.pk)
    assert dump("testapp", "similar_images") == before


def test_merge__the_editor_is_forgotten_with_the_user(assets: list[Asset]) -> None:
    user = User.objects.create_user("editor")
    done = merge(*assets[:2], user=user)
    with transaction.atomic(), transaction.atomic(using=ALIAS):
        user.delete()
    done.refresh_from_db()
    assert done.merged_by_id in (None, user.pk)  # on another database, once the deletion is committed
