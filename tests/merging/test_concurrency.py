from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction

from similar_images.merging import merge as merging
from similar_images.merging.merge import merge_objects
from similar_images.merging.references import MergeRefused
from similar_images.merging.undo import undo_merge
from similar_images.models import Merge, Source
from similar_images.sources.source import ImageSource
from tests import drawing
from tests.databases import ALIAS
from tests.mergeapp.models import GENERIC_RELATIONS, Asset, Page

pytestmark = [GENERIC_RELATIONS, pytest.mark.django_db(transaction=True)]

SOURCE = ImageSource(Asset, "image")


@pytest.fixture
def assets() -> list[Asset]:
    Source.objects.create_missing([SOURCE])
    return [Asset.objects.create(code=str(seed), image=drawing.file(seed)) for seed in range(3)]


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    """Threads with connections of their own, which are closed at the end."""
    with ThreadPoolExecutor(2) as executor:
        yield executor
        barrier = threading.Barrier(2)
        list(executor.map(lambda _number: (barrier.wait(), connections.close_all()), range(2)))


def outcome(kept: int, other: int, barrier: threading.Barrier) -> str:
    barrier.wait()
    try:
        merge_objects(SOURCE, kept, [other])
    except MergeRefused as error:
        return str(error)
    return "merged"


@pytest.mark.parametrize("is_crossed", [False, True])
def test_merge__of_two_editors_at_once_one_is_told(assets: list[Asset], executor: Any, is_crossed: bool) -> None:
    """Also where each keeps what the other one removes: they wait for each other in the order of keys."""
    a, b = assets[0].pk, assets[1].pk
    for asset in assets[:2]:
        Page.objects.create(title="page", hero=asset)
    barrier = threading.Barrier(2)
    first = executor.submit(outcome, a, b, barrier)
    second = executor.submit(outcome, *((b, a) if is_crossed else (a, b)), barrier)
    told = sorted([first.result(60), second.result(60)])
    assert told == ["An item of this group was deleted or merged in the meantime.", "merged"]
    assert Merge.objects.count() == 1
    assert Page.objects.filter(hero=Asset.objects.exclude(pk=assets[2].pk).get()).count() == 2


def test_merge__moves_a_reference_that_is_just_being_made(assets: list[Asset], executor: Any) -> None:
    """It waits for the transaction, once that has checked its foreign keys."""
    a, b = assets[0].pk, assets[1].pk
    with transaction.atomic(using=ALIAS):
        page = Page.objects.create(title="meanwhile", hero_id=b)
        connections[ALIAS].check_constraints()
        future = executor.submit(merge_objects, SOURCE, a, [b])
        with pytest.raises(TimeoutError):
            future.result(0.5)
    future.result(60)
    page.refresh_from_db()
    assert page.hero_id == a


def test_merge__a_reference_that_is_made_too_late_is_refused_by_the_database(
    assets: list[Asset], executor: Any
) -> None:
    a, b = assets[0].pk, assets[1].pk
    with pytest.raises(IntegrityError), transaction.atomic(using=ALIAS):
        Page.objects.create(title="too late", hero_id=b)
        executor.submit(merge_objects, SOURCE, a, [b]).result(60)
    assert not Page.objects.exists()


def test_merge__of_what_someone_holds_is_refused_after_a_while(
    assets: list[Asset], executor: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(merging, "MERGE_LOCK_TIMEOUT", "100ms")
    with transaction.atomic(using=ALIAS):
        Asset.objects.select_for_update().get(pk=assets[1].pk)
        future = executor.submit(merge_objects, SOURCE, assets[0].pk, [assets[1].pk])
        with pytest.raises(MergeRefused, match="Try again in a moment"):
            future.result(60)
    assert Asset.objects.count() == 3


def test_undo__of_two_editors_at_once_one_is_told(assets: list[Asset], executor: Any) -> None:
    done = merge_objects(SOURCE, assets[0].pk, [assets[1].pk])
    futures = [executor.submit(undo_merge, done.pk) for _editor in range(2)]
    errors = [future.exception(60) for future in futures]
    assert sorted(type(error).__name__ for error in errors) == ["MergeRefused", "NoneType"]
    assert Asset.objects.count() == 3
