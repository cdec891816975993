"""Merges of random graphs of references: undone, the database is equal; done, nothing refers to what was removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from similar_images.merging.merge import MergePlan, merge_objects, plan_merge
from similar_images.merging.references import MergeRefused
from similar_images.merging.undo import undo_merge
from similar_images.models import Source
from similar_images.sources.source import ImageSource
from tests.databases import ALIAS, connection
from tests.mergeapp import models as mergeapp
from tests.mergeapp.models import (
    GENERIC_RELATIONS,
    LEGACY_TABLES,
    Album,
    Asset,
    AssetProxy,
    Focus,
    Legacy,
    LegacyPart,
    License,
    LicenseFee,
    Note,
    Page,
    Placement,
    Rating,
    Rendition,
    Tag,
    Usage,
)
from tests.merging.dumps import dump

pytestmark = [GENERIC_RELATIONS, pytest.mark.django_db]

SOURCE = ImageSource(Asset, "image")

KEPT, OTHERS, BYSTANDER = 0, (1, 2), 3

FOREIGN_KEYS: list[tuple[Any, str]] = [
    (Page, "hero_id"),
    (Placement, "asset_id"),
    (License, "asset_id"),
    (Focus, "asset_id"),
    (Rating, "asset_id"),
    (Asset, "parent_id"),
    (Album.assets.through, "asset_id"),
    (Asset.tags.through, "asset_id"),
    (Asset.related.through, "from_asset_id"),
    (Asset.related.through, "to_asset_id"),
    *((Usage, field.attname) for field in Usage._meta.fields if field.is_relation),
    *((Legacy, field.attname) for field in Legacy._meta.fields if field.is_relation),
]
"""Every column that refers to assets by their key, but for those that only a new Django has."""

if by_database := getattr(mergeapp, "CascadedByDatabase", None):
    FOREIGN_KEYS += [(by_database, "asset_id"), (by_database, "emptied_id")]

Make = Callable[[list[Asset], int, int], object]


@pytest.fixture(autouse=True)
def _source_row(db: None) -> None:
    Source.objects.create_missing([SOURCE])


def simple(model: Any, attname: str) -> Make:
    return lambda assets, a, b: model.objects.create(**{attname: assets[a].pk})


def note(model: type[Asset]) -> Make:
    def make(assets: list[Asset], a: int, b: int) -> None:
        content_type = ContentType.objects.get_for_model(model, for_concrete_model=False)
        Note.objects.create(content_type=content_type, object_id=assets[a].pk, author=f"author {b % 2}")

    return make


def album(b: int) -> Album:
    return Album.objects.order_by("pk")[b % 2]


KINDS: dict[str, Make] = {
    "text": lambda assets, a, b: Page.objects.create(
        body=f'<embed id="{assets[a].pk}"/>, <embed id="{assets[b].pk}"/>'
    ),
    "cover": lambda assets, a, b: Page.objects.create(cover=assets[a]),
    "placement": lambda assets, a, b: Placement.objects.create(album=album(b), asset=assets[a], position=a + 4 * b),
    "album": lambda assets, a, b: album(b).assets.add(assets[a]),
    "tag": lambda assets, a, b: assets[a].tags.add(Tag.objects.order_by("pk")[b % 2]),
    "related": lambda assets, a, b: assets[a].related.add(assets[b]),
    "parent": lambda assets, a, b: Asset.objects.filter(pk=assets[a].pk).update(parent=assets[b]),
    "license": lambda assets, a, b: License.objects.create(asset=assets[a]),
    "fee": lambda assets, a, b: LicenseFee.objects.create(license=License.objects.get(pk=assets[a].pk), amount=b),
    "focus": lambda assets, a, b: Focus.objects.create(asset=assets[a]),
    "rating": lambda assets, a, b: Rating.objects.create(asset_id=assets[a].pk, is_current=b % 2),
    "note": note(Asset),
    "note on a proxy": note(AssetProxy),
    "rendition": lambda assets, a, b: Rendition.objects.create(asset=assets[a]),
    "part": lambda assets, a, b: LegacyPart.objects.create(legacy=Legacy.objects.get(asset_once=assets[a])),
    **{
        f"{model.__name__}.{attname}": simple(model, attname)
        for model, attname in FOREIGN_KEYS
        if model in (Page, Usage, Legacy, by_database)
    },
}

Graph = list[tuple[str, int, int]]

graphs = st.lists(
    st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, BYSTANDER), st.integers(0, BYSTANDER)), max_size=25
)


def build(graph: Graph) -> list[Asset]:
    """Create the assets and the rows of a graph; those that a constraint refuses are none of it."""
    Album.objects.create()
    Album.objects.create()
    Tag.objects.create(name="one")
    Tag.objects.create(name="two")
    assets = [Asset.objects.create(code=str(index), image="assets/one.png") for index in range(BYSTANDER + 1)]
    for kind, a, b in graph:
        try:
            with transaction.atomic(using=ALIAS):
                KINDS[kind](assets, a, b)
                connection.check_constraints()
        except (IntegrityError, License.DoesNotExist, Legacy.DoesNotExist):
            continue
    return assets


@contextmanager
def rolled_back() -> Iterator[None]:
    """Undo all that was written, as a test does at its end: there are many in one."""
    with transaction.atomic(using=ALIAS):
        with connection.cursor() as cursor:
            cursor.execute(LEGACY_TABLES)
        yield
        transaction.set_rollback(True, using=ALIAS)


Cell = tuple[str, Any, str]


def references_to(pks: set[int]) -> set[Cell]:
    """Return the model, key and column of every reference to one of these assets."""
    cells = {
        (model._meta.label, pk, attname)
        for model, attname in FOREIGN_KEYS
        for pk in model._base_manager.filter(**{f"{attname}__in": pks}).values_list("pk", flat=True)
    }
    notes = Note.objects.filter(object_id__in=[str(pk) for pk in pks]).values_list("pk", flat=True)
    return cells | {("mergeapp.Note", pk, "subject") for pk in notes}


def left_cells(plan: MergePlan) -> set[Cell]:
    """Return the references that a plan says can't be moved."""
    return {(row.model._meta.label, next(iter(row.key.values())), row.field) for row in plan.left}


def as_text(cells: set[Cell]) -> set[Cell]:
    """Return cells as a plan writes them: keys as text, and fields without "_id"."""
    return {(label, str(pk), attname.removesuffix("_id")) for label, pk, attname in cells}


@pytest.fixture(scope="module")
def merge_settings() -> dict[str, Any]:
    return {"MERGE_HOOKS": ["tests.mergeapp.models.embedded_assets"], "MERGE_IGNORE": ["mergeapp.Rendition"]}


COLLISIONS: Graph = [
    (kind, asset, 0)
    for kind in ("license", "fee", "focus", "Legacy.asset_once_id", "part", "Legacy.emptied_once_id", "note")
    for asset in (0, 1, 2)
]


@given(graph=graphs, is_removal=st.booleans(), count=st.integers(1, 2))
@example(graph=COLLISIONS, is_removal=True, count=2)
@example(graph=[("Usage.protected_once_id", 0, 0), ("Usage.protected_once_id", 1, 0)], is_removal=True, count=1)
@example(graph=[("Usage.restricted_once_id", 0, 0), ("Usage.restricted_once_id", 1, 0)], is_removal=True, count=1)
@example(graph=[("Usage.emptied_once_id", 0, 0), ("Usage.emptied_once_id", 1, 0)], is_removal=True, count=1)
@example(graph=[("parent", 0, 1), ("parent", 1, 2), ("related", 0, 1), ("related", 1, 2)], is_removal=True, count=2)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_merge_and_undo__of_random_graphs(
    configure: Any, merge_settings: dict[str, Any], graph: Graph, is_removal: bool, count: int
) -> None:
    configure(**merge_settings)
    with rolled_back():
        assets = build(graph)
        kept, others = assets[KEPT].pk, {assets[index].pk for index in OTHERS[:count]}
        before = dump("mergeapp")
        kept_before, others_before = references_to({kept}), references_to(others)
        try:
            plan = plan_merge(SOURCE, kept, sorted(others), is_removal=is_removal)
            done = merge_objects(SOURCE, kept, sorted(others), is_removal=is_removal, fingerprint=plan.fingerprint)
        except MergeRefused:
            assert dump("mergeapp") == before
            assert is_removal  # a row that protects what would be removed; nothing else is in the way
            return
        kept_after, others_after = references_to({kept}), references_to(others)
        own = {("mergeapp.Asset", pk, "parent_id") for pk in others}
        left = left_cells(plan)
        between = (kept_before & _partners(others_before)) | own
        assert as_text(kept_before - between) <= as_text(kept_after)
        moved = {cell for cell in as_text(others_before) if cell not in left}
        assert {_renamed(cell, others, kept) for cell in moved} <= as_text(kept_after)
        assert others_after == set() if is_removal else as_text(others_after) <= left
        undo_merge(done.pk)
        assert dump("mergeapp") == before


def _renamed(cell: Cell, others: set[int], kept: int) -> Cell:
    """Return a cell after the merge: the key of a license is that of its asset."""
    label, pk, field = cell
    return (label, str(kept), field) if label == "mergeapp.License" and int(pk) in others else cell


def _partners(cells: set[Cell]) -> set[Cell]:
    """Return the other column of links between two assets."""
    label = Asset.related.through._meta.label
    ends = {"from_asset_id": "to_asset_id", "to_asset_id": "from_asset_id"}
    return {(each, pk, ends[attname]) for each, pk, attname in cells if each == label}


def test_merge__rows_of_a_table_without_a_model_are_not_lost() -> None:
    with rolled_back():
        assets = build([])
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE unknown (asset_id bigint REFERENCES mergeapp_asset ON DELETE CASCADE)")
            cursor.execute("INSERT INTO unknown VALUES (%s)", [assets[1].pk])
        with pytest.raises(MergeRefused, match="Rows of “unknown” would be lost"):
            merge_objects(SOURCE, assets[0].pk, [assets[1].pk])
        merge_objects(SOURCE, assets[0].pk, [assets[2].pk])


def test_merge__the_database_does_not_delete_the_kept_object() -> None:
    with rolled_back():
        assets = build([("parent", 0, 1)])
        with connection.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE mergeapp_asset ADD FOREIGN KEY (parent_id) REFERENCES mergeapp_asset ON DELETE CASCADE"
            )
        Asset.objects.filter(pk=assets[0].pk).update(parent=assets[1])
        assert merge_objects(SOURCE, assets[0].pk, [assets[1].pk])
        assert Asset.objects.get(pk=assets[0].pk).parent is None
