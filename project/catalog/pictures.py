"""Where the shop's pictures come from: a folder of the visitor's own, or the ones that two packages carry."""

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

# Folders of the arcade package with art by Kenney; what is not named here is of use to games only.
SHELVES = {
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
SMALLEST_SIDE = 24

# Of scikit-image's pictures, those which are one, and not a chart for tests.
PHOTOGRAPHS = {
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
class Picture:
    path: Path
    collection: str
    key: str
    category: str
    name: str

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.collection}\0{self.key}".encode()).hexdigest()

    @property
    def slug(self) -> str:
        return f"{slugify(self.name)[:80]}-{self.digest[:8]}".lstrip("-")

    @property
    def price(self) -> Decimal:
        return Decimal(int(self.digest, 16) % 196 + 4) / 4 - Decimal("0.01")


def of_folder(folder: Path) -> Iterator[Picture]:
    """The pictures in a folder: its subfolders are the categories, and itself for those directly inside."""
    folder = folder.resolve()
    for path in pictures_in(folder):
        key = path.relative_to(folder)
        category = " / ".join(readable(text(part)) for part in key.parent.parts or (folder.name,))
        yield Picture(path, text(folder), text(key), category, readable(text(path.stem)) or text(path.name))


def of_packages(target: Path) -> Iterator[Picture]:
    """The game art installed below `target`, and the photographs of scikit-image."""
    assets = target / "arcade" / "resources" / "assets"
    for folder, category in SHELVES.items():
        for path in pictures_in(assets / folder):
            with Image.open(path) as image:
                if min(image.size) < SMALLEST_SIDE:
                    continue
            prefix = f"{path.parent.name} " if folder == "onscreen_controls" else ""
            yield Picture(path, PACKAGES, str(path.relative_to(assets)), category, readable(prefix + path.stem))
    skimage = importlib.util.find_spec("skimage")
    for location in (skimage and skimage.submodule_search_locations) or ():
        for file_name, name in PHOTOGRAPHS.items():
            if (path := Path(location) / "data" / file_name).exists():
                yield Picture(path, PACKAGES, f"photographs/{file_name}", "Photographs", name)


def pictures_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def readable(file_name: str) -> str:
    """A file's name in words: `cardClubs10` is "Card clubs 10"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d+(?:_|\b))", " ", file_name)
    words = " ".join(word if word.isupper() else word.lower() for word in re.split(r"[\s_\-]+", words) if word)
    return words[:1].upper() + words[1:]


def text(path: Path | str) -> str:
    """A path for people and the database, which both want Unicode; file names may be any bytes."""
    return os.fsencode(path).decode(errors="replace")
