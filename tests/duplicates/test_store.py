"""Groups that are saved for review, and the image of each that is suggested to be kept."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from similar_images.duplicates.keeper import suggest_keeper
from similar_images.models import DuplicateGroup, DuplicateImage
from tests import commands
from tests.drawing import textured
from tests.items import save_image
from tests.testapp.models import Picture

find = partial(commands.run, "find_duplicates", "testapp.Picture.image", "--save")


@pytest.fixture
def copies(index_now: Any) -> list[Picture]:
    first = textured(1)
    items = [
        save_image(first, "one"),
        save_image(first, "twin"),
        save_image(first.resize((160, 120)), "small", "JPEG", quality=60),
        save_image(textured(4), "alone"),
    ]
    index_now()
    return items[:3]


def titles(group: DuplicateGroup) -> set[str]:
    return {Picture.objects.get(pk=image.object_id).title for image in group.images.all()}


def test_save__stores_what_decides(copies: list[Picture]) -> None:
    find()
    assert titles(DuplicateGroup.objects.get(kind="exact")) == {"one", "twin"}
    group = DuplicateGroup.objects.get(kind="copies")
    assert (group.status, group.size) == ("open", 3)
    assert titles(group) == {"one", "twin", "small"}
    small = group.images.get(object_id=str(copies[2].pk))
    assert (small.width, small.height, small.format, small.bytes) == (160, 120, "JPEG", copies[2].image.size)
    assert small.modified_at is not None
    assert suggest_keeper(list(group.images.all()), {}).object_id == str(copies[0].pk)


def test_save__again_keeps_what_is_there(copies: list[Picture]) -> None:
    find()
    before = list(DuplicateGroup.objects.values())
    find()
    assert list(DuplicateGroup.objects.values()) == before


def test_save__pairs_that_an_editor_dismissed_stay_so(copies: list[Picture], index_now: Any) -> None:
    find()
    DuplicateGroup.objects.update(status="dismissed")
    find()
    assert not DuplicateGroup.objects.filter(status="open").exists()
    save_image(textured(1), "new")
    index_now()
    find()
    assert titles(DuplicateGroup.objects.get(status="open")) == {"one", "new"}
    assert DuplicateGroup.objects.filter(status="dismissed").count() == 2


def test_save__groups_that_are_none_anymore_go(copies: list[Picture]) -> None:
    find()
    for item in copies[1:]:
        item.delete()
    find()
    assert not DuplicateGroup.objects.exists()


def image(object_id: str, **fields: Any) -> DuplicateImage:
    values = {"width": 80, "height": 60, "format": "JPEG", "sharpness": 5.0, "object_key": int(object_id)}
    return DuplicateImage(object_id=object_id, **{**values, **fields})


@pytest.mark.parametrize(
    ("fields", "uses", "reasons"),
    [
        ({"width": 160}, {"1": 9}, ["most pixels"]),
        ({"width": 81, "sharpness": 9.0}, {"1": 9}, ["sharpest"]),
        ({"sharpness": 5.01, "format": "PNG"}, {"1": 9}, ["lossless format"]),
        ({"sharpness": None}, {}, None),
        ({}, {"1": 1, "2": 2}, ["most used"]),
        ({}, {}, None),
    ],
)
def test_keeper__says_why(fields: dict[str, Any], uses: dict[str, int], reasons: list[str] | None) -> None:
    keeper = suggest_keeper([image("1"), image("2", **fields)], uses)
    expected = ("2", reasons) if reasons else ("1", ["sharpest"] if fields else ["first added"])
    assert (keeper.object_id, [str(reason) for reason in keeper.reasons]) == expected
