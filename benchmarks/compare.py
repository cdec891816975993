"""Planted copies that compare_images finds in a folder of photos: `python -m benchmarks compare DATASETS WORK`.

Prints how many of them it finds, how many other pairs, and how long it takes. DATASETS is a folder with images anywhere
below it, WORK a new folder. Some images are copied: cropped, rotated, mirrored, recolored, overlaid with text, reduced,
recompressed, or several of these at once. Other pairs may be copies in the sets themselves: they are listed, to be
checked by eye.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import resource
import shutil
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from similar_images.evaluation.transforms import TRANSFORMS, Pixels
from tests import commands

IMAGES, PLANTED = 2_000, 100
"""Numbers of images in the folder, and of copies among them."""

RECOMPRESSION = "JPEG 50"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=Path)
    parser.add_argument("work", type=Path)
    options = parser.parse_args()
    folder, output = options.work / "photos", options.work / "comparison"
    planted = plant_copies(options.datasets, folder)
    result = json.loads(commands.run("compare_images", folder, "--output", output, "--json", stderr=sys.stderr)[0])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{result['pictures']} images, {result['candidates']} pairs, {result['seconds']} s, {memory:.0f} MB at most")
    with (output / "pairs.csv").open(newline="", encoding="utf-8-sig") as file:
        found = {frozenset((row["a"], row["b"])): row for row in csv.DictReader(file)}
    missed = {name: recipe for pair, (name, recipe) in planted.items() if pair not in found}
    print(f"{len(planted) - len(missed)} of {len(planted)} planted copies found")
    for name, recipe in missed.items():
        print(f"  missed: {recipe}: {name}")
    others = [row for pair, row in found.items() if pair not in planted]
    print(f"{len(others)} other pairs found, to be checked by eye in {output}/index.html")
    for row in others:
        print(f"  {row['kind']}: {row['a']}, {row['b']}: {row['similarity']}%: {row['verdict']}")
    counts, lost = Counter(recipe for _name, recipe in planted.values()), Counter(missed.values())
    print(", ".join(f"{recipe} {count - lost[recipe]}/{count}" for recipe, count in counts.items()))


def make_recipes() -> dict[str, list[tuple[str, float]]]:
    """Return the transforms that make a copy, with their parameters, by title."""

    def strength(name: str, index: int) -> tuple[str, float]:
        return name, list(TRANSFORMS[name].strengths.values())[index]

    return {
        "crop 70%": [("crop", 0.7**0.5)],
        "crop 70% of each side": [("crop", 0.7)],
        "rotate 10°": [("turn", 10)],
        "rotate 90°": [("turn", 90)],
        "mirror": [strength("mirror", 0)],
        "hue 90°": [("hue", 90)],
        "gray": [strength("gray", 2)],
        "text": [strength("text", 1)],
        "half size": [strength("resize", 1)],
        RECOMPRESSION: [],
        "border": [strength("border", 1)],
        "mirror and crop": [strength("mirror", 0), ("crop", 0.85)],
        "rotate 90° and gray": [("turn", 90), strength("gray", 2)],
        "text and crop": [strength("text", 0), ("crop", 0.85)],
    }


def modify(pixels: Pixels, recipe: list[tuple[str, float]]) -> Pixels:
    """Apply transforms, one after another."""
    for name, parameter in recipe:
        pixels = np.ascontiguousarray(TRANSFORMS[name].change(pixels, parameter), np.uint8)
    return pixels


def plant_copies(datasets: Path, folder: Path) -> dict[frozenset[str], tuple[str, str]]:
    """Fill the folder; return the name and the recipe of each copy, by the pair that it makes with its original."""
    rng = random.Random(1)
    # Emoji of 64 pixels only fill up what photos leave.
    paths = sorted(datasets.rglob("*.jpg"), key=lambda path: ("emoji" in path.parts, rng.random()))[: IMAGES - PLANTED]
    for path in paths:
        target = folder / path.relative_to(datasets)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    photos = [path for path in paths if "emoji" not in path.parts]
    recipes = list(make_recipes().items())
    planted = {}
    (folder / "copies").mkdir()
    for number, path in enumerate(rng.sample(photos, PLANTED)):
        title, recipe = recipes[number % len(recipes)]
        pixels = modify(np.asarray(Image.open(path).convert("RGB")), recipe)
        quality = 50 if title == RECOMPRESSION else 85
        name = f"copies/{number:03}.jpg"
        cv2.imwrite(str(folder / name), pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        original = path.relative_to(datasets).as_posix()
        planted[frozenset((name, original))] = (f"{name} of {original}", title)
    return planted
