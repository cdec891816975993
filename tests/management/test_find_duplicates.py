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
from django.db.models import Q
from PIL import Image

import similar_images
from similar_images import registry
from similar_images.duplicates import verification
from similar_images.duplicates.images import ImageCache
from similar_images.models import IndexedImage, PairVerdict
from tests import commands, drawing
from tests.drawing import shot_again, textured
from tests.items import save_image
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db
LABEL = "testapp.Picture.image"

run = partial(commands.run, "find_duplicates")


@pytest.fixture
def shop(index_now: Any) -> None:
    first, second, third = (textured(seed) for seed in (1, 2, 3))
    save_image(first, "one")
    save_image(first, "one-twin")
    save_image(first.crop((15, 10, 320, 240)), "one-cropped", "JPEG", quality=70)
    save_image(second, "two")
    save_image(second.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "two-mirrored")
    save_image(third, "three")
    save_image(shot_again(third), "three-aside")
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
    assert result["copies"][0][0].keys() == {"object", "file", "width", "height", "shares_file"}
    assert not any(member["shares_file"] for group in result["copies"] for member in group)
    assert (result["plain"], result["left_out"]) == ([], 0)


@pytest.mark.usefixtures("shop")
def test_pairs_marked_as_not_similar__are_left_out() -> None:
    for pair in (("two", "two-mirrored"), ("one", "one-twin"), ("three", "three-aside")):
        similar_images.mark(*(Picture.objects.get(title=title) for title in pair), alike=False)
    (result,) = json.loads(run(LABEL, "--json")[0])
    assert group_titles(result["copies"]) == [{"one", "one-cropped"}]
    assert result["series"] == []


@pytest.mark.usefixtures("shop")
def test_text__and_a_page_that_needs_no_other_file(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    out, err = run(LABEL, "--output", page)
    assert "8 images; groups of copies: 2, series: 1, too plain to tell apart: 0." in out
    assert "one-cropped" in out
    assert "alone" not in out
    assert err == ""
    html = page.read_text()
    assert html.count('<img src="data:image/jpeg;base64,') == 7
    assert html.count('<ol class="members">') == 3
    assert "http" not in html
    assert "copies may be missing" not in html


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
def test_pair_marked_as_not_similar__is_not_joined_through_a_third(index_now: Any) -> None:
    save_image(textured(1).resize((160, 120)), "one-small")
    index_now()
    marked = "one-cropped", "one-small"
    similar_images.mark(*(Picture.objects.get(title=title) for title in marked), alike=False)
    (result,) = json.loads(run(LABEL, "--json")[0])
    groups = group_titles(result["copies"])
    assert {"one", "one-twin"} < next(group for group in groups if "one" in group)
    assert not any(set(marked) <= group for group in groups)


@pytest.mark.usefixtures("shop")
def test_second_run__compares_only_what_is_new(index_now: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(LABEL, "--json")[0]
    kept = PairVerdict.objects.count()
    assert kept >= 3
    compared = watch_comparisons(monkeypatch)
    assert run(LABEL, "--json")[0] == first
    assert compared == []
    save_image(textured(2).resize((200, 150)), "two-small")
    index_now()
    (result,) = json.loads(run(LABEL, "--json")[0])
    assert {"two", "two-mirrored", "two-small"} in group_titles(result["copies"])
    assert compared
    assert all(any("two-small" in name for name in pair) for pair in compared)


@pytest.mark.usefixtures("shop")
def test_verdicts__of_another_version_and_of_files_that_are_gone_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(LABEL, "--json")[0]
    PairVerdict.objects.update(verdict={"kind": "same-picture", "version": 0})
    compared = watch_comparisons(monkeypatch)
    assert run(LABEL, "--json")[0] == first
    assert compared
    assert not PairVerdict.objects.filter(verdict__version=0).exists()
    gone = IndexedImage.objects.get(object_id=str(Picture.objects.get(title="three-aside").pk)).sha256
    Picture.objects.get(title="three-aside").delete()
    run(LABEL, "--json")
    assert not PairVerdict.objects.filter(Q(first=gone) | Q(second=gone)).exists()
    assert PairVerdict.objects.exists()


def watch_comparisons(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Return a list to which the titles of each pair are added that is compared from now on."""
    compared: list[set[str]] = []
    compare_pair = verification._compare_pair

    def compare(images: ImageCache, pair: Any) -> Any:
        titles = {str(Picture.objects.get(pk=image.object_id).title) for image in (pair.a, pair.b)}
        compared.append(titles)
        return compare_pair(images, pair)

    monkeypatch.setattr(verification, "_compare_pair", compare)
    monkeypatch.setattr("similar_images.imaging.threads.ThreadPoolExecutor", SameThread)
    return compared


class SameThread:
    """An executor on the caller's thread, which sees what a test has not committed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.map = map

    def shutdown(self, **options: Any) -> None:
        """Have nothing to end."""


@pytest.mark.usefixtures("shop")
def test_batches__no_pair_is_compared_twice_and_few_images_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = watch_comparisons(monkeypatch)
    monkeypatch.setattr("similar_images.duplicates.detection.BATCH_SIZE", 2)
    monkeypatch.setattr("similar_images.duplicates.source.READ_CHUNK", 3)
    monkeypatch.setattr("similar_images.duplicates.images.MAX_CACHED_IMAGES", 2)
    held = []
    load = ImageCache.load
    monkeypatch.setattr(ImageCache, "load", lambda self, image: (load(self, image), held.append(len(self._images)))[0])
    (result,) = json.loads(run(LABEL, "--json", "--jobs", "1")[0])
    assert len(result["copies"]) == 2
    assert len(compared) == len({frozenset(pair) for pair in compared})
    assert max(held) <= 2


def test_objects_with_one_stored_file__are_said_to_share_it(index_now: Any, tmp_path: Path) -> None:
    owner, sharer = save_image(textured(1), "owner"), save_image(textured(2), "sharer")
    save_image(textured(1), "twin")
    Picture.objects.filter(pk=sharer.pk).update(image=owner.image.name)
    index_now()
    page = tmp_path / "report.html"
    (result,) = json.loads(run(LABEL, "--json", "--output", page)[0])
    shares = {Picture.objects.get(pk=m["object"]).title: m["shares_file"] for m in result["copies"][0]}
    assert shares == {"owner": False, "sharer": True, "twin": False}
    assert page.read_text().count("Uses the same stored file as image 1") == 1
    out, _err = run(LABEL)
    lines = [line for line in out.splitlines() if "same stored file" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"  {sharer.pk}: ")
    assert f"(same stored file as {owner.pk}: {owner.image.name})" in lines[0]


def test_plain_images__are_listed_as_such(index_now: Any, tmp_path: Path) -> None:
    """Blank ones of two sizes, and nearly blank ones; a dot is enough to show something."""
    white, noisy, dotted = (np.full((240, 320, 3), 250, np.uint8) for _image in range(3))
    noisy[:] = np.random.default_rng(1).integers(247, 254, noisy.shape)
    dotted[100:120, 100:120] = 0
    for title, pixels in (("white", white), ("small", white[:120, :160]), ("noisy", noisy), ("dotted", dotted)):
        save_image(Image.fromarray(pixels), title)
    index_now()
    page = tmp_path / "report.html"
    (result,) = json.loads(run(LABEL, "--json", "--output", page)[0])
    assert (result["copies"], result["series"]) == ([], [])
    assert group_titles([result["plain"]]) == [{"white", "small", "noisy"}]
    assert "Too plain to tell apart: 3 images" in page.read_text()
    out, _err = run(LABEL)
    assert "groups of copies: 0, series: 0, too plain to tell apart: 3." in out
    assert "Too plain to tell apart:\n" in out


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
    assert group_titles([result["plain"]]) == [{"200", "90"}]


@pytest.mark.usefixtures("shop")
def test_progress__in_a_pipe_tells_of_candidates_and_pairs(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("similar_images.management.base.PROGRESS_SECONDS", 0)
    call_command("find_duplicates", LABEL)
    lines = capfd.readouterr().err.splitlines()
    assert any(line.startswith(f"{LABEL}: candidates: 14% (1/7 images), 00:") for line in lines)
    assert any(line.startswith(f"{LABEL}: pairs: 100% (") for line in lines)
    assert not any("\r" in line for line in lines)
    call_command("find_duplicates", LABEL, verbosity=0)
    assert capfd.readouterr().err == ""
