from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from PIL import Image

from project.catalog import listings


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


def test_catalog__has_products_of_many_categories_with_all_their_photos() -> None:
    products = list(listings.read_catalog())
    assert len(products) >= 150
    assert len({product.slug for product in products}) == len({product.name for product in products}) == len(products)
    counts = Counter(product.category for product in products)
    assert len(counts) >= 12
    assert min(counts.values()) >= 6
    assert all(product.price > 0 and len(product.description) > 40 for product in products)
    files = [photo for product in products for photo in product.photos]
    assert sorted(files) == listings.list_images(listings.CATALOG / "images")
    assert sum(photo.stat().st_size for photo in files) < 12_000_000
    for photo in files:
        with Image.open(photo) as image:
            assert 390 <= max(image.size) <= 524  # cropped, and with a border


def test_catalog__says_what_every_photo_shows() -> None:
    rows = listings.read_table(listings.CATALOG / "images.csv")
    files = {row["file"] for row in rows}
    families = {row["product"]: row["family"] for row in rows}
    assert {row["view"] for row in rows} <= {"front", "angle", "room", "detail"}
    assert len(set(families.values())) < len(families) / 2
    copies = [row for row in rows if row["copy_of"]]
    assert {row["edit"] for row in copies} == {"crop", "mirror", "brightness", "text", "border"}
    assert {row["copy_of"] for row in copies} <= files


@pytest.mark.parametrize(
    ("file_name", "name"),
    [
        ("side_view0", "Side view 0"),
        ("oakChair10", "Oak chair 10"),
        ("chairModelQ", "Chair model Q"),
        ("sofaBlue_leg1_detail", "Sofa blue leg 1 detail"),
        ("IMG_1234", "IMG 1234"),
        ("grüne-Vase", "Grüne vase"),
        ("___", ""),
    ],
)
def test_title__from_file_name(file_name: str, name: str) -> None:
    assert listings.make_title(file_name) == name


def test_price__looks_like_a_price() -> None:
    prices = {listings.make_price(listings.make_digest("shop", str(number))) for number in range(500)}
    assert Decimal("0.99") <= min(prices) < max(prices) <= Decimal("49.99")
    assert {price % 1 for price in prices} == {Decimal(cents) / 100 for cents in (24, 49, 74, 99)}


def test_folder__gives_its_photos_by_subfolder(folder: Path) -> None:
    result = {(listing.category, listing.name) for listing in listings.find_folder_listings(folder)}
    assert result == {
        (listings.make_title(folder.name), "Kitchen"),
        ("Wooden chairs", "Chair oak 2"),
        ("Wooden chairs", "Broken"),
        ("Wooden chairs / Old", "IMG 1234"),
    }


def test_file_name__may_be_any_bytes(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).touch()
    (listing,) = listings.find_folder_listings(tmp_path)
    assert listing.name == "Caf\ufffd"
    assert listing.slug.startswith("caf-")
