"""The photos of the shop: from a folder of your own, or from two packages."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from django.utils.text import slugify
from PIL import Image

GAME_ART = "arcade>=3.3,<4"
PACKAGES = "packages"
SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".tif", ".tiff", ".bmp"])

# Folders of the arcade package with art by Kenney. The others are of use to games only.
CATEGORIES = {
    "images/alien": "Characters",
    "images/animated_characters": "Characters",
    "images/cards": "Playing cards",
    "images/enemies": "Creatures",
    "images/items": "Treasures",
    "images/space_shooter": "Space",
    "images/tiles": "Landscapes",
    "images/topdown_tanks": "Tanks and roads",
    "onscreen_controls": "Buttons",
}
MIN_SIDE = 24
"""Pixels; smaller game art is left out."""

# The images of scikit-image that are photos, not test charts.
SAMPLE_PHOTOS = {
    "astronaut.png": "Astronaut",
    "brick.png": "Brick wall",
    "camera.png": "Cameraman",
    "cell.png": "Cell under the microscope",
    "chelsea.png": "Chelsea the cat",
    "clock_motion.png": "Clock in motion",
    "coffee.png": "Cup of coffee",
    "coins.png": "Ancient coins",
    "grass.png": "Grass",
    "gravel.png": "Gravel",
    "hubble_deep_field.jpg": "Hubble deep field",
    "ihc.png": "Stained tissue",
    "microaneurysms.png": "Blood vessels",
    "moon.png": "Surface of the moon",
    "motorcycle_left.png": "Motorcycle, from the left",
    "motorcycle_right.png": "Motorcycle, from the right",
    "page.png": "Page of a book",
    "retina.jpg": "Retina",
    "rocket.jpg": "Rocket on its pad",
    "text.png": "Handwriting",
}


@dataclass(frozen=True)
class Photo:
    """An image file to make a product of; `collection` and `key` identify it."""

    path: Path
    collection: str
    key: str
    category: str
    name: str

    @cached_property
    def digest(self) -> str:
        """Hash of the collection and the key, in hexadecimal."""
        return hashlib.sha256(f"{self.collection}\0{self.key}".encode()).hexdigest()

    @property
    def slug(self) -> str:
        """Unique slug of the product."""
        return f"{slugify(self.name)[:80]}-{self.digest[:8]}".lstrip("-")

    @property
    def price(self) -> Decimal:
        """Price in dollars, 0.99 to 49.99, always the same one."""
        return Decimal(int(self.digest, 16) % 196 + 4) / 4 - Decimal("0.01")


def find_folder_photos(folder: Path) -> Iterator[Photo]:
    """Yield the photos in a folder; subfolders are the categories, and the folder itself for those directly in it."""
    folder = folder.resolve()
    for path in list_images(folder):
        key = path.relative_to(folder)
        category = " / ".join(make_title(decode_path(part)) for part in key.parent.parts or (folder.name,))
        yield Photo(
            path,
            decode_path(folder),
            decode_path(key),
            category,
            make_title(decode_path(path.stem)) or decode_path(path.name),
        )


def find_package_photos(target: Path) -> Iterator[Photo]:
    """Yield the game art installed below `target`, and the photos of scikit-image."""
    assets = target / "arcade" / "resources" / "assets"
    for folder, category in CATEGORIES.items():
        for path in list_images(assets / folder):
            with Image.open(path) as image:
                if min(image.size) < MIN_SIDE:
                    continue
            prefix = f"{path.parent.name} " if folder == "onscreen_controls" else ""
            yield Photo(path, PACKAGES, str(path.relative_to(assets)), category, make_title(prefix + path.stem))
    skimage = importlib.util.find_spec("skimage")
    for location in (skimage and skimage.submodule_search_locations) or ():
        for file_name, name in SAMPLE_PHOTOS.items():
            if (path := Path(location) / "data" / file_name).exists():
                yield Photo(path, PACKAGES, f"photographs/{file_name}", "Photos", name)


def list_images(folder: Path) -> list[Path]:
    """List the image files in and below a folder, without hidden ones, sorted."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def make_title(file_name: str) -> str:
    """Turn a file name into words: `cardClubs10` is "Card clubs 10"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d+(?:_|\b))", " ", file_name)
    words = " ".join(word if word.isupper() else word.lower() for word in re.split(r"[\s_\-]+", words) if word)
    return words[:1].upper() + words[1:]


def decode_path(path: Path | str) -> str:
    """Return a path as Unicode for people and the database; file names may be any bytes."""
    return os.fsencode(path).decode(errors="replace")
