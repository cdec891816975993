"""Pairs of pictures that are copies, and pairs that only look like it: one half to choose by, one to measure."""

from __future__ import annotations

import random
import zlib
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.edits import EDITS, Pixels
from benchmarks.templates import TEMPLATES, draw_pair
from similar_images.evaluation.description import decode_image
from similar_images.evaluation.labeled_images import LabeledImage, read_folder

MAX_PIXELS = 80_000_000

ORIGINALS = {"copydetect": 8, "clothing": 3, "corel": 3, "furniture": 4, "grocery": 3, "dvdcovers": 1, "emoji": 3}
"""Pictures of each set that are edited, in each half."""

LOOKALIKES = {
    "furniture": ("group", 250),
    "grocery": ("group", 200),
    "emoji": ("class", 250),
    "corel": ("class", 120),
    "clothing": ("class", 80),
}
"""The label that the pictures of a pair have in common, and the number of pairs, in each half. Photos of one DVD cover
are no look-alikes: both show one picture, that of the cover."""

DRAWINGS = 14
"""Pairs of drawings of each template, in each half."""

PUT_AMONG_OTHERS = ("collage", "picture in picture")


@dataclass(frozen=True)
class Pair:
    """Two pictures: `a` and `b` of a set; or `a` and an edit of it; or two drawings of a template, by their number."""

    collection: str
    a: str
    b: str = ""
    edit: str = ""
    strength: int = 0
    is_unrelated: bool = False

    @property
    def is_copy(self) -> bool:
        """Whether one was made from the other."""
        return bool(self.edit)

    @property
    def is_lookalike(self) -> bool:
        """Whether they are different pictures of one group, class or template."""
        return not self.edit and not self.is_unrelated

    def load(self, datasets: Path) -> tuple[Pixels, Pixels]:
        """Return the pixels of both."""
        if self.collection in TEMPLATES:
            return draw_pair(self.collection, int(self.a))
        first = load_pixels(datasets / self.collection, self.a)
        if not self.edit:
            return first, load_pixels(datasets / self.collection, self.b)
        others = other_pictures(datasets, self.a) if self.edit in PUT_AMONG_OTHERS else []
        edit = EDITS[self.edit]
        copy = edit.change(first, list(edit.strengths.values())[self.strength], others)
        return first, np.ascontiguousarray(copy, np.uint8)


@cache
def read_set(folder: Path) -> dict[str, LabeledImage]:
    """Return the images of a set by name."""
    return {image.name: image for image in read_folder(folder)}


def load_pixels(folder: Path, name: str) -> NDArray[np.uint8]:
    """Read an image of a set."""
    return decode_image(read_set(folder)[name], MAX_PIXELS)


def other_pictures(datasets: Path, name: str) -> list[Pixels]:
    """Return pictures to put one among, always the same ones for it."""
    folder = datasets / "copydetect"
    names = [other for other in read_set(folder) if other != name]
    return [load_pixels(folder, other) for other in random.Random(name).sample(names, 16)]


def half_of(image: LabeledImage, collection: str) -> int:
    """Return the half that an image is in, 0 or 1; those of one group are in the same."""
    return zlib.crc32(f"{collection} {image.labels.get('group') or image.name}".encode()) % 2


def draw_copies(datasets: Path, half: int, *, per_edit: int, seed: int = 0) -> list[Pair]:
    """Return copies of some images by every edit, at `per_edit` of its three strengths."""
    rng, pairs = random.Random(seed + half), []
    for collection, count in ORIGINALS.items():
        images = [image for image in read_set(datasets / collection).values() if half_of(image, collection) == half]
        if collection == "dvdcovers":
            images = [image for image in images if "reference" in image.name]
        for image in rng.sample(images, count):
            pairs += [
                Pair(collection, image.name, edit=edit, strength=strength)
                for edit in EDITS
                for strength in rng.sample(range(3), per_edit)
            ]
    return pairs


def draw_lookalikes(datasets: Path, half: int, *, seed: int = 0) -> list[Pair]:
    """Return pairs of one group or class, and drawings of one template."""
    rng, pairs = random.Random(seed + half), []
    for collection, (label, count) in LOOKALIKES.items():
        by_label: dict[str, list[str]] = defaultdict(list)
        for image in read_set(datasets / collection).values():
            if half_of(image, collection) == half:
                # Of a symbol, two vendors have drawings: they are to be told from other symbols of the same vendor.
                vendor = image.name.partition("/")[0] if collection == "emoji" else ""
                by_label[image.labels[label] + vendor].append(image.name)
        found = [pair for names in by_label.values() for pair in combinations(names, 2)]
        pairs += [Pair(collection, *names) for names in rng.sample(found, min(count, len(found)))]
    pairs += [Pair(template, str(2 * number + half)) for template in TEMPLATES for number in range(DRAWINGS)]
    return pairs


def draw_unrelated(datasets: Path, half: int, count: int, *, seed: int = 0) -> list[Pair]:
    """Return pairs of pictures of one set that have no label in common."""
    rng, pairs = random.Random(seed + half), list[Pair]()
    while len(pairs) < count:
        collection = rng.choice(list(ORIGINALS))
        images = [image for image in read_set(datasets / collection).values() if half_of(image, collection) == half]
        a, b = rng.sample(images, 2)
        shared = [name for name, value in a.labels.items() if value and value == b.labels.get(name)]
        if not shared or (shared == ["class"] and collection == "dvdcovers"):  # all of these are of one class
            pairs.append(Pair(collection, a.name, b.name, is_unrelated=True))
    return pairs
