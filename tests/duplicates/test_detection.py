"""Both commands give the same pairs and verdicts, wherever the images come from."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

import similar_images
from similar_images.duplicates.detection import find_duplicates
from similar_images.duplicates.folder import FolderImages, describe_files, list_image_files
from similar_images.duplicates.graphs import connected_components
from similar_images.duplicates.images import ImageCollection
from similar_images.duplicates.scan_cache import ScanCache
from similar_images.duplicates.source import SourceImages
from similar_images.duplicates.verification import has_same_content
from similar_images.evaluation.transforms import TRANSFORMS
from similar_images.measures.verdict import COPY_KINDS
from similar_images.plugins import enabled_methods
from similar_images.registry import get_source
from similar_images.search.resemblance import SAME_DESIGN
from tests import commands, drawing
from tests.drawing import shot_again, textured
from tests.items import save_image
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db
LABEL = "testapp.Picture.image"
SERIES = [frozenset({"third", "third-aside"})]
KINDS = ("same-file", "same-picture", "edited-picture", "same-object", "alike")


def change(image: Image.Image, name: str, strength: float) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(TRANSFORMS[name].change(np.array(image), strength), np.uint8))


@pytest.fixture
def images(index_now: Any, configure: Any, tmp_path: Path) -> Path:
    """Save images as objects and, under the same titles, in a folder: copies, a variant in color, a series."""
    configure(METHODS={"embedding": {}, "color": {}, "phash": {}})
    first, second, third, fourth = (textured(seed) for seed in (1, 2, 3, 4))
    pictures = {
        "first": first,
        "first-again": first,
        "first-cropped": first.crop((15, 10, 320, 240)),
        "second": second,
        "second-mirrored": ImageOps.mirror(second),
        "second-small": second.resize((160, 120)),
        "third": third,
        "third-aside": shot_again(third),
        "fourth": fourth,
        "fourth-recolored": change(fourth, "hue", 60),
        "single": textured(5),
    }
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, (title, picture) in enumerate(pictures.items()):
        save_image(picture, title)
        (folder / f"{number:02} {title}.png").write_bytes(drawing.encoded(picture))
    index_now()
    return folder


def titles_in(output: Path) -> dict[frozenset[str], str]:
    """Return the verdict on each pair of titles in a report."""
    titles = {f"{item.pk}: {item.image.name}": item.title for item in Picture.objects.all()}
    with (output / "pairs.csv").open(newline="", encoding="utf-8-sig") as file:
        return {
            frozenset(titles.get(row[side], Path(row[side]).stem[3:]) for side in "ab"): row["kind"]
            for row in csv.DictReader(file)
        }


def groups_of(pairs: Iterable[frozenset[str]]) -> set[frozenset[str]]:
    return {frozenset(group) for group in connected_components((min(pair), max(pair)) for pair in pairs)}


def test_folder_and_source__have_the_same_pairs_and_verdicts(images: Path, tmp_path: Path) -> None:
    kinds = ("--kinds", ",".join(KINDS))
    commands.run("compare_images", images, "--output", tmp_path / "folder", *kinds)
    commands.run("compare_images", "--source", LABEL, "--output", tmp_path / "source", *kinds)
    verdicts = titles_in(tmp_path / "folder")
    assert titles_in(tmp_path / "source") == verdicts
    copies = {pair for pair, kind in verdicts.items() if kind in COPY_KINDS}
    assert groups_of(copies) >= {
        frozenset({"first", "first-again", "first-cropped"}),
        frozenset({"second", "second-mirrored", "second-small"}),
    }
    assert verdicts[frozenset({"third", "third-aside"})] == "same-object"

    (result,) = json.loads(commands.run("find_duplicates", LABEL, "--json")[0])
    titles = {str(item.pk): item.title for item in Picture.objects.all()}
    groups = {
        name: {frozenset(titles[member["object"]] for member in group) for group in result[name]}
        for name in ("copies", "series")
    }
    assert groups == {"copies": groups_of(copies), "series": set(SERIES)}


def test_series__are_the_same_in_a_folder_and_a_source(images: Path, tmp_path: Path) -> None:
    methods = list(enabled_methods().values())
    cache = ScanCache(tmp_path / "cache.sqlite3")
    described = describe_files(list_image_files(images), methods, cache, 1)
    folder = FolderImages("photos", [image for image in described if not isinstance(image, str)], methods, cache)

    def series(collection: ImageCollection) -> list[set[tuple[int, int, str]]]:
        found = find_duplicates(collection, kinds=KINDS, jobs=1)
        return [{(image.width, image.height, image.sha256) for image in group} for group in found.series]

    assert series(folder) == series(SourceImages(get_source(Picture)))
    assert len(series(folder)) == len(SERIES)
    cache.close()


def test_variant_in_another_color__is_no_copy(images: Path, tmp_path: Path) -> None:
    """What a search for copies calls another product, a report does not call a copy."""
    source = tmp_path / "variants"
    source.mkdir()
    picture = textured(7)
    hue = np.array(picture.convert("HSV"))
    hue[:, :160, 0] += 40
    picture.save(source / "00 a.png")
    Image.fromarray(hue, "HSV").convert("RGB").save(source / "01 b.png")
    commands.run("compare_images", source, "--output", tmp_path / "report", "--kinds", ",".join(KINDS))
    assert titles_in(tmp_path / "report") == {frozenset({"a", "b"}): "same-object"}


def test_marked_pairs__are_left_out_of_a_report_on_a_source(images: Path, tmp_path: Path) -> None:
    for titles in (("first", "first-again"), ("second", "second-mirrored")):
        similar_images.mark(*(Picture.objects.get(title=title) for title in titles), alike=False)
    commands.run("compare_images", "--source", LABEL, "--output", tmp_path / "report")
    pairs = titles_in(tmp_path / "report").keys()
    assert frozenset({"second", "second-small"}) in pairs
    assert not pairs & {frozenset({"first", "first-again"}), frozenset({"second", "second-mirrored"})}


def test_series__is_told_by_the_content_and_not_by_the_background() -> None:
    similarities = {"embedding": SAME_DESIGN - 0.1, "color": 100.0}
    assert not has_same_content(similarities)
    assert has_same_content(similarities | {"embedding": SAME_DESIGN})
    assert not has_same_content({"color": 100.0})
