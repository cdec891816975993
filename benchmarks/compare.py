"""What compare_images finds of planted copies in a folder of photos: `python -m benchmarks compare DATASETS WORK`.

Tells how many of them it finds, how many false ones, and how long it takes. DATASETS is a folder with pictures anywhere
below it, WORK one that is made anew. Copies are made of some pictures: cropped, turned, mirrored, recolored, written
on, reduced, recompressed, and some of that at once. What is found beyond them may be copies that the sets themselves
hold: they are listed, to be judged by eye.
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

PICTURES = 2_000
COPIES = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=Path)
    parser.add_argument("work", type=Path)
    options = parser.parse_args()
    folder, output = options.work / "photos", options.work / "comparison"
    planted = plant(options.datasets, folder)
    told = json.loads(commands.run("compare_images", folder, "--output", output, "--json", stderr=sys.stderr)[0])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{told['pictures']} pictures, {told['candidates']} pairs, {told['seconds']} s, {memory:.0f} MB at most")
    with (output / "pairs.csv").open(newline="", encoding="utf-8-sig") as file:
        found = {frozenset((row["a"], row["b"])): row for row in csv.DictReader(file)}
    missed = {name: kind for pair, (name, kind) in planted.items() if pair not in found}
    print(f"{len(planted) - len(missed)} of {len(planted)} planted copies found")
    for name, kind in missed.items():
        print(f"  missed: {kind}: {name}")
    beyond = {pair: row for pair, row in found.items() if pair not in planted}
    print(f"{len(beyond)} others found, to be judged by eye in {output}/index.html")
    for row in beyond.values():
        print(f"  {row['kind']}: {row['a']}, {row['b']}: {row['similarity']} %: {row['verdict']}")
    kinds = Counter(kind for _name, kind in planted.values())
    lost = Counter(missed.values())
    print(", ".join(f"{kind} {count - lost[kind]}/{count}" for kind, count in kinds.items()))


def plant(datasets: Path, folder: Path) -> dict[frozenset[str], tuple[str, str]]:
    """Fill the folder; the pairs of an original and its copy, with the copy's name and what was done."""

    def strength(name: str, place: int) -> tuple[str, float]:
        return name, list(TRANSFORMS[name].strengths.values())[place]

    def changed(pixels: Pixels, *steps: tuple[str, float]) -> Pixels:
        for name, parameter in steps:
            pixels = np.ascontiguousarray(TRANSFORMS[name].change(pixels, parameter), np.uint8)
        return pixels

    ways = {
        "crop 70 %": (("crop", 0.7**0.5),),
        "crop 70 % of each side": (("crop", 0.7),),
        "turn 10°": (("turn", 10),),
        "turn 90°": (("turn", 90),),
        "mirror": (strength("mirror", 0),),
        "hue 90°": (("hue", 90),),
        "gray": (strength("gray", 2),),
        "text": (strength("text", 1),),
        "half size": (strength("resize", 1),),
        "JPEG 50": (),
        "border": (strength("border", 1),),
        "mirror and crop": (strength("mirror", 0), ("crop", 0.85)),
        "turn 90° and gray": (("turn", 90), strength("gray", 2)),
        "text and crop": (strength("text", 0), ("crop", 0.85)),
    }
    rng = random.Random(1)
    # Symbols of 64 pixels only fill up what photos leave.
    paths = sorted(datasets.rglob("*.jpg"), key=lambda path: ("emoji" in path.parts, rng.random()))
    chosen = paths[: PICTURES - COPIES]
    for path in chosen:
        target = folder / path.relative_to(datasets)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    planted = {}
    photos = [path for path in chosen if "emoji" not in path.parts]
    (folder / "copies").mkdir()
    for number, path in enumerate(rng.sample(photos, COPIES)):
        kind, steps = list(ways.items())[number % len(ways)]
        pixels = np.asarray(Image.open(path).convert("RGB"))
        quality = 50 if kind == "JPEG 50" else 85
        name = f"copies/{number:03}.jpg"
        cv2.imwrite(str(folder / name), changed(pixels, *steps)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        pair = frozenset((name, path.relative_to(datasets).as_posix()))
        planted[pair] = (f"{name} of {path.relative_to(datasets)}", kind)
    return planted
