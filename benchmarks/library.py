"""A library of many pictures, made of the data sets: pictures of different things, look-alikes, and planted copies."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from similar_images.evaluation.labeled_images import LabeledImage, read_folder
from similar_images.evaluation.transforms import TRANSFORMS, Pixels

PHOTO_SETS = ("clothing", "grocery", "dvdcovers", "furniture", "copydetect", "corel")
LONG_SIDE = 640
"""Pixels on the long side of a picture of the library: what pictures are compared at."""

PLANTED_TRANSFORMS = [name for name in TRANSFORMS if name != "perspective"]
"""Modifications that make a copy; another perspective is another photo."""


def make_library(datasets: Path, folder: Path, pictures: int, copies: int) -> dict[str, str]:
    """Write so many pictures, among them so many copies of others; return the original's name by that of each copy.

    As the sets have fewer photos than that, photos are cut into four quarters, which share no pixel; those that are
    not cut, and the copies, are chosen by a fixed seed. An existing library is left as it is.
    """
    planted_file = folder / "planted.json"
    if planted_file.exists():
        return dict(json.loads(planted_file.read_text()))
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(14)
    names = []
    for name, pixels in _distinct_pictures(datasets, pictures - copies, chance):
        _write(folder / name, pixels)
        names.append(name)
    planted = {}
    for number, original in enumerate(chance.sample(names, copies)):
        transform = TRANSFORMS[PLANTED_TRANSFORMS[number % len(PLANTED_TRANSFORMS)]]
        pixels = _decode((folder / original).read_bytes())
        copy = transform.change(pixels, chance.choice(list(transform.strengths.values())))
        name = f"copy-{number:04}.jpg"
        _write(folder / name, np.ascontiguousarray(copy, np.uint8))
        planted[name] = original
    planted_file.write_text(json.dumps(planted))
    return planted


def _distinct_pictures(datasets: Path, count: int, chance: random.Random) -> Iterator[tuple[str, Pixels]]:
    photos = [(name, image) for name in PHOTO_SETS for image in read_folder(datasets / name)]
    drawings = read_folder(datasets / "emoji")
    if count > 4 * len(photos) + len(drawings):
        raise SystemExit(f"The sets are enough for {4 * len(photos) + len(drawings)} pictures.")
    chance.shuffle(photos)
    drawings = drawings[: count // 16]
    cut = max(0, -(-(count - len(drawings) - len(photos)) // 3))
    made = 0
    for number, (set_name, image) in enumerate(photos):
        parts = quarters(_read(image)) if number < cut else [_read(image)]
        for part, pixels in enumerate(parts):
            if made == count - len(drawings):
                break
            made += 1
            yield f"{set_name}-{number:04}-{part}.jpg", enlarge(pixels)
    for number, image in enumerate(drawings):
        yield f"emoji-{number:04}.jpg", _read(image)


def quarters(pixels: Pixels) -> list[Pixels]:
    """Cut a picture into four, which share no pixel."""
    y, x = pixels.shape[0] // 2, pixels.shape[1] // 2
    return [pixels[:y, :x], pixels[:y, x:], pixels[y:, :x], pixels[y:, x:]]


def enlarge(pixels: Pixels) -> Pixels:
    """Return a picture with LONG_SIDE pixels on its long side."""
    factor = LONG_SIDE / max(pixels.shape)
    return np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), np.uint8)


def _read(image: LabeledImage) -> Pixels:
    return _decode(image.read())


def _decode(data: bytes) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(pixels)[..., ::-1], np.uint8)


def _write(path: Path, pixels: Pixels) -> None:
    cv2.imwrite(str(path), pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
