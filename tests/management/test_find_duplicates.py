"""Copies in a source, in groups, and series apart from them."""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from PIL import Image

import similar_images
from similar_images import registry
from similar_images.duplicates import verification
from similar_images.duplicates.images import ImageCache
from similar_images.evaluation.transforms import TRANSFORMS
from similar_images.models import IndexedImage
from tests import commands, drawing
from tests.drawing import textured
from tests.items import save_image
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db
LABEL = "testapp.Picture.image"

run = partial(commands.run, "find_duplicates")


def seen_from_aside(image: Image.Image) -> Image.Image:
    """Return the same object, photographed from the left and below."""
    return Image.fromarray(np.asarray(TRANSFORMS["perspective"].change(np.array(image), 0.15), np.uint8))


@pytest.fixture
def shop(index_now: Any) -> None:
    first, second, third = textured(1), textured(2), textured(3)
    save_image(first, "one")
    save_image(first, "one-twin")
    save_image(first.crop((15, 10, 320, 240)), "one-cropped", "JPEG", quality=70)
    save_image(second, "two")
    save_image(second.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "two-mirrored")
    save_image(third, "three")
    save_image(seen_from_aside(third), "three-aside")
    save_image(textured(4), "alone")
    index_now()


def group_titles(groups: list[list[dict[str, Any]]]) -> list[set[str]]:
    return [{Picture.objects.get(pk=member["object"]).title for member in group} for group in groups]


@pytest.mark.usefixtures("shop")
def test_json__groups_copies_and_series_apart() -> None:
    (result,) = json.loads(run(LABEL, "--json")[0])
    assert (result["source"], result["pictures"], result["problems"]) == (LABEL, 8, [])
    assert group_titles(result["copies"]) == [{"one", "one-twin", "one-cropped"}, {"two", "two-mirrored"}]
    assert group_titles(result["series"]) == [{"three", "three-aside"}]
    assert result["copies"][0][0].keys() == {"object", "file", "width", "height"}


@pytest.mark.usefixtures("shop")
def test_pairs_marked_as_not_similar__are_left_out() -> None:
    for pair in (("two", "two-mirrored"), ("one", "one-twin"), ("three", "three-aside")):
        similar_images.mark(*(Picture.objects.get(title=title) for title in pair), alike=False)
    (result,) = json.loads(run(LABEL, "--json")[0])
    assert group_titles(result["copies"]) in ([{"one", "one-cropped"}], [{"one", "one-twin", "one-cropped"}])
    assert result["series"] == []


@pytest.mark.usefixtures("shop")
def test_text__and_a_page_that_needs_no_other_file(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    out, err = run(LABEL, "--output", page)
    assert "8 images; groups of copies: 2, series: 1." in out
    assert "one-cropped" in out
    assert "alone" not in out
    assert err == ""
    html = page.read_text()
    assert html.count('<img src="data:image/jpeg;base64,') == 7
    assert html.count('<ol class="members">') == 3
    assert "http" not in html


@pytest.mark.usefixtures("shop")
def test_page__of_a_project_without_time_zones(tmp_path: Path, settings: Any) -> None:
    settings.USE_TZ = False
    page = tmp_path / "report.html"
    run(LABEL, "--output", page)
    assert "Created on" in page.read_text()


def test_all_sources__without_a_name(make_picture: Any, index_now: Any) -> None:
    make_picture(1)
    index_now()
    results = json.loads(run("--json")[0])
    assert [result["source"] for result in results] == [source.label for source in registry.get_sources()]
    assert {result["source"]: result["pictures"] for result in results}[LABEL] == 1


@pytest.mark.usefixtures("shop")
def test_problems__are_printed_and_stop_nothing(make_picture: Any, tmp_path: Path) -> None:
    Path(Picture.objects.get(title="two-mirrored").image.path).unlink()
    make_picture(9)
    failed = make_picture(10)
    IndexedImage.objects.filter(object_id=failed.pk).update(status="failed")
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError, match=r"Pairs that could not be compared: \d\. All others were\."):
        call_command("find_duplicates", LABEL, "--output", str(tmp_path / "x.html"), stdout=out, stderr=err)
    assert "groups of copies: 1," in out.getvalue()
    assert "missing from the storage" in err.getvalue()
    assert "testapp.Picture.image: left out as they are not indexed yet: 1." in err.getvalue()
    assert "testapp.Picture.image: left out as they could not be processed: 1." in err.getvalue()
    assert "copies may be missing" in (tmp_path / "x.html").read_text()


@pytest.mark.usefixtures("shop")
def test_json__says_whether_all_images_were_compared(make_picture: Any) -> None:
    assert json.loads(run(LABEL, "--json")[0])[0]["complete"] is True
    make_picture(9)
    assert json.loads(run(LABEL, "--json")[0])[0]["complete"] is False


@pytest.mark.usefixtures("shop")
def test_batches__no_pair_is_compared_twice_and_few_images_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    compare_pair = verification._compare_pair
    monkeypatch.setattr(
        verification,
        "_compare_pair",
        lambda images, pair: compared.append({pair.a.name, pair.b.name}) or compare_pair(images, pair),
    )
    monkeypatch.setattr("similar_images.duplicates.candidates.BATCH_SIZE", 2)
    monkeypatch.setattr("similar_images.duplicates.source.READ_CHUNK", 3)
    monkeypatch.setattr("similar_images.duplicates.images.MAX_CACHED_IMAGES", 2)
    held = []
    load = ImageCache.load
    monkeypatch.setattr(ImageCache, "load", lambda self, image: (load(self, image), held.append(len(self._images)))[0])
    (result,) = json.loads(run(LABEL, "--json", "--jobs", "1")[0])
    assert len(result["copies"]) == 2
    assert len(compared) == len({frozenset(pair) for pair in compared})
    assert max(held) <= 2


@pytest.mark.parametrize("args", [["nonsense.Model.field"], ["--jobs", "0"], ["--output", "/no/such/folder/x.html"]])
def test_refusals__are_clear(args: list[str]) -> None:
    with pytest.raises(CommandError, match=r"nonsense|--jobs|no folder"):
        run(*args)


def test_images_without_detail__are_at_most_exact_duplicates(index_now: Any, configure: Any) -> None:
    """An image that no method can describe is only a duplicate of the same file."""
    configure(METHODS={"phash": {}}, RANKING={"phash": 1})
    for level in (200, 200, 90):
        data = drawing.encoded(Image.new("RGB", (64, 64), (level,) * 3))
        Picture.objects.create(title=str(level), image=ContentFile(data, name="x.png"))
    index_now()
    (result,) = json.loads(run(LABEL, "--json")[0])
    assert group_titles(result["copies"]) == [{"200"}]
    assert len(result["copies"][0]) == 2
