"""Copies in a source, in groups, and series apart from them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError
from PIL import Image

import similar_images
from similar_images import registry
from similar_images.duplicates import source_scan
from similar_images.duplicates.verification import ImageCache
from similar_images.evaluation.transforms import TRANSFORMS
from tests import commands, drawing
from tests.drawing import textured
from tests.items import save
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db
LABEL = "testapp.Picture.image"

run = partial(commands.run, "find_duplicates")


def from_aside(image: Image.Image) -> Image.Image:
    """The same thing, taken from a place to the left and below."""
    return Image.fromarray(np.asarray(TRANSFORMS["perspective"].change(np.array(image), 0.15), np.uint8))


@pytest.fixture
def shop(index_now: Any) -> None:
    one, two, three = textured(1), textured(2), textured(3)
    save(one, "one")
    save(one, "one-twin")
    save(one.crop((15, 10, 320, 240)), "one-cropped", "JPEG", quality=70)
    save(two, "two")
    save(two.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "two-mirrored")
    save(three, "three")
    save(from_aside(three), "three-aside")
    save(textured(4), "alone")
    index_now()


def named(groups: list[list[dict[str, Any]]]) -> list[set[str]]:
    return [{Picture.objects.get(pk=member["object"]).title for member in group} for group in groups]


@pytest.mark.usefixtures("shop")
def test_json__groups_copies_and_series_apart() -> None:
    (told,) = json.loads(run(LABEL, "--json")[0])
    assert (told["source"], told["pictures"], told["problems"]) == (LABEL, 8, [])
    assert named(told["copies"]) == [{"one", "one-twin", "one-cropped"}, {"two", "two-mirrored"}]
    assert named(told["series"]) == [{"three", "three-aside"}]
    assert told["copies"][0][0].keys() == {"object", "file", "width", "height"}


@pytest.mark.usefixtures("shop")
def test_marked_as_not_alike__is_left_out() -> None:
    for pair in (("two", "two-mirrored"), ("one", "one-twin"), ("three", "three-aside")):
        similar_images.mark(*(Picture.objects.get(title=title) for title in pair), alike=False)
    (told,) = json.loads(run(LABEL, "--json")[0])
    assert named(told["copies"]) in ([{"one", "one-cropped"}], [{"one", "one-twin", "one-cropped"}])
    assert told["series"] == []


@pytest.mark.usefixtures("shop")
def test_text__and_a_page_that_needs_no_other_file(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    out, err = run(LABEL, "--output", page)
    assert "8 pictures; groups of copies: 2, series: 1." in out
    assert "one-cropped" in out
    assert "alone" not in out
    assert err == ""
    html = page.read_text()
    assert html.count('<img src="data:image/jpeg;base64,') == 7
    assert html.count('<ol class="members">') == 3
    assert "http" not in html


def test_all_sources__without_a_name(make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    index_now()
    told = json.loads(run("--json")[0])
    assert [one["source"] for one in told] == [source.label for source in registry.get_sources()]
    assert {one["source"]: one["pictures"] for one in told}[LABEL] == 1


@pytest.mark.usefixtures("shop")
def test_problems__are_told_and_take_nothing_from_the_others(make_picture: Any) -> None:
    Path(Picture.objects.get(title="two-mirrored").image.path).unlink()
    make_picture(9)
    out, err = run(LABEL)
    assert "groups of copies: 1," in out
    assert "missing from the storage" in err
    assert "1 pictures of testapp.Picture.image are left out: they are not indexed." in err


@pytest.mark.usefixtures("shop")
def test_batches__no_pair_is_compared_twice_and_few_pictures_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    real = source_scan._compared
    monkeypatch.setattr(
        source_scan, "_compared", lambda views, pair: compared.append({pair.a.name, pair.b.name}) or real(views, pair)
    )
    monkeypatch.setattr(source_scan, "SCAN_BATCH", 2)
    monkeypatch.setattr("similar_images.duplicates.verification.MAX_CACHED_IMAGES", 2)
    held = []
    of = ImageCache.of
    monkeypatch.setattr(ImageCache, "of", lambda self, picture: (of(self, picture), held.append(len(self._views)))[0])
    found = source_scan.find_duplicates(registry.get_source(Picture), 1)
    assert len(found.copies) == 2
    assert len(compared) == len({frozenset(pair) for pair in compared})
    assert max(held) <= 2


@pytest.mark.parametrize("args", [["nonsense.Model.field"], ["--jobs", "0"], ["--output", "/no/such/folder/x.html"]])
def test_refusals__are_clear(args: list[str]) -> None:
    with pytest.raises(CommandError, match=r"nonsense|--jobs|no folder"):
        run(*args)


def test_files_of_no_detail__are_twins_at_most(index_now: Any, configure: Any) -> None:
    """Of a picture that every method sees nothing in, only the same file is told."""
    configure(METHODS={"phash": {}}, RANKING={"phash": 1})
    for level in (200, 200, 90):
        data = drawing.encoded(Image.new("RGB", (64, 64), (level,) * 3))
        Picture.objects.create(title=str(level), image=ContentFile(data, name="x.png"))
    index_now()
    (told,) = json.loads(run(LABEL, "--json")[0])
    assert named(told["copies"]) == [{"200"}]
    assert len(told["copies"][0]) == 2
