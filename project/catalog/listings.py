"""What the shop sells: its own catalog of rendered home goods, or the images in a folder of yours."""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from django.utils.text import slugify

CATALOG = Path(__file__).resolve().parent
"""Folder of the shop's own catalog: `products.csv`, `images.csv`, and `images/`."""

COLLECTION = "catalog"
SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".tif", ".tiff", ".bmp"])


@dataclass(frozen=True)
class Listing:
    """A product to create: `collection` and `key` identify it, and its first photo is the main one."""

    collection: str
    key: str
    category: str
    name: str
    slug: str
    price: Decimal
    photos: tuple[Path, ...]
    description: str = ""

    @cached_property
    def digest(self) -> str:
        """Hash of the collection and the key, in hexadecimal."""
        return make_digest(self.collection, self.key)


def read_catalog(folder: Path = CATALOG) -> Iterator[Listing]:
    """Yield the products of the shop's own catalog."""
    photos: dict[str, list[Path]] = {}
    for row in read_table(folder / "images.csv"):
        photos.setdefault(row["product"], []).append(folder / "images" / row["file"])
    for row in read_table(folder / "products.csv"):
        slug = row["product"]
        yield Listing(
            collection=COLLECTION,
            key=slug,
            category=row["category"],
            name=row["name"],
            slug=slug,
            price=Decimal(row["price"]),
            photos=tuple(photos[slug]),
            description=row["description"],
        )


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file with a header."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def find_folder_listings(folder: Path) -> Iterator[Listing]:
    """Yield a product for each image in a folder; subfolders are the categories, and the folder itself the first."""
    folder = folder.resolve()
    collection = decode_path(folder)
    for path in list_images(folder):
        relative = path.relative_to(folder)
        key, name = decode_path(relative), make_title(decode_path(path.stem)) or decode_path(path.name)
        digest = make_digest(collection, key)
        yield Listing(
            collection=collection,
            key=key,
            category=" / ".join(make_title(decode_path(part)) for part in relative.parent.parts or (folder.name,)),
            name=name,
            slug=f"{slugify(name)[:80]}-{digest[:8]}".lstrip("-"),
            price=make_price(digest),
            photos=(path,),
        )


def list_images(folder: Path) -> list[Path]:
    """List the image files in and below a folder, without hidden ones, sorted."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def make_digest(collection: str, key: str) -> str:
    """Return a hash that is the same in every run, in hexadecimal."""
    return hashlib.sha256(f"{collection}\0{key}".encode()).hexdigest()


def make_price(digest: str) -> Decimal:
    """Return a price in dollars, 0.99 to 49.99, that depends on the digest alone."""
    return Decimal(int(digest, 16) % 196 + 4) / 4 - Decimal("0.01")


def make_title(file_name: str) -> str:
    """Turn a file name into words: `oakChair10` is "Oak chair 10"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d+(?:_|\b))", " ", file_name)
    words = " ".join(word if word.isupper() else word.lower() for word in re.split(r"[\s_\-]+", words) if word)
    return words[:1].upper() + words[1:]


def decode_path(path: Path | str) -> str:
    """Return a path as Unicode for people and the database; file names may be any bytes."""
    return os.fsencode(path).decode(errors="replace")
