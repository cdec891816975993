"""How often the verdict on two pictures is right: `python -m benchmarks verdicts FOLDER… [--every N]`.

Every Nth picture of each folder is copied in ten ways and compared with its copies, and as often with a picture that
it has nothing to do with; pictures of one class and of one group, where labels.csv says so, are counted apart.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from similar_images.evaluation.description import decode_image
from similar_images.evaluation.labeled_images import LabeledImage, read_folder
from similar_images.evaluation.transforms import TRANSFORMS
from similar_images.measures.base import ComparisonImage
from similar_images.measures.verdict import Verdict, judge_pair
from similar_images.search.ranking import image_similarity

Pixels = NDArray[np.uint8]
MAX_PIXELS = 80_000_000
COPIES = ("same-file", "same-picture")
PAIRS = ("unrelated", "of the same class", "of the same group")


@dataclass(frozen=True)
class Truth:
    """What was done to a picture; None where geometry was left alone."""

    angle: float = 0.0
    part: tuple[float, float, float, float] | None = None
    is_mirrored: bool = False


@dataclass
class Tally:
    verdicts: list[Verdict] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def is_copy(self) -> list[bool]:
        return [verdict.kind in COPIES for verdict in self.verdicts]


def copies_of(pixels: Pixels, rng: random.Random) -> Iterator[tuple[str, Pixels, Truth]]:
    """Ten copies, each with its name and what was done; every one is encoded anew as JPEG at quality 90."""
    height, width = pixels.shape[:2]
    size = round(0.7 * width), round(0.7 * height)
    left, top = rng.randrange(width - size[0] + 1), rng.randrange(height - size[1] + 1)
    part = left / width, top / height, size[0] / width, size[1] / height
    turn, hue = TRANSFORMS["turn"].change, TRANSFORMS["hue"].change
    yield "cropped to 70 % of each side", pixels[top : top + size[1], left : left + size[0]], Truth(part=part)
    yield "turned by 10°, enlarged until no corner is empty", turn(pixels, 10), Truth(angle=10)
    yield "turned by 10°, whole, with white corners", whole_turn(pixels, 10), Truth(angle=10)
    yield "turned by 90°", turn(pixels, 90), Truth(angle=90)
    yield "half the size", TRANSFORMS["resize"].change(pixels, 0.5), Truth()
    yield "JPEG at quality 50", TRANSFORMS["JPEG"].change(pixels, 50), Truth()
    yield "mirrored", pixels[:, ::-1], Truth(is_mirrored=True)
    yield "hue turned by 30°", hue(pixels, 30), Truth()
    yield "hue turned by 90°", hue(pixels, 90), Truth()
    yield "text laid over, letters 8 % high", TRANSFORMS["text"].change(pixels, 0.08), Truth()


def whole_turn(pixels: Pixels, degrees: float) -> Pixels:
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = round(width * cos + height * sin), round(width * sin + height * cos)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return np.asarray(cv2.warpAffine(pixels, matrix, size, borderValue=(255, 255, 255)), np.uint8)


def encoded(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(TRANSFORMS["JPEG"].change(np.ascontiguousarray(pixels), 90))


def is_right(verdict: Verdict, truth: Truth) -> bool:
    """Whether the transform that was found is that which was made: within 1° and 2 % of a side."""
    found = verdict.transform
    if found is None or found.is_mirrored != truth.is_mirrored:
        return False
    if abs((found.angle - truth.angle + 180) % 360 - 180) > 1:
        return False
    return truth.part is None or bool(np.abs(np.subtract(found.part, truth.part)).max() <= 0.02)


def judge_folder(folder: Path, every: int) -> dict[str, Tally]:
    cv2.setNumThreads(1)
    rng = random.Random(0)
    items = read_folder(folder)
    if len({item.labels.get("class") for item in items}) == 1:  # a class of all tells nothing apart
        items = [replace(item, labels={"group": item.labels.get("group", "")}) for item in items]
    tallies: dict[str, Tally] = defaultdict(Tally)

    def tell(name: str, a: ComparisonImage, b: ComparisonImage, truth: Truth | None = None) -> None:
        started = time.process_time()
        verdict = judge_pair(a, b, partial(image_similarity, a, b))
        tallies[name].seconds.append(time.process_time() - started)
        tallies[name].verdicts.append(verdict)
        if truth and verdict.kind in COPIES:
            tallies[name].right.append(is_right(verdict, truth))

    for item in items[::every]:
        pixels = decode_image(item, MAX_PIXELS)
        view = ComparisonImage(pixels)
        for name, copy, truth in copies_of(pixels, rng):
            tell(name, view, ComparisonImage(encoded(copy)), truth)
        kinds = {
            "unrelated": [other for other in items if not shares(item, other)],
            "of the same class": [
                other for other in items if shares(item, other, "class") and not shares(item, other, "group")
            ],
            "of the same group": [other for other in items if shares(item, other, "group")],
        }
        for kind, others in kinds.items():
            for other in rng.sample(others, min(len(others), 10 if kind == "unrelated" else 5)):
                tell(kind, view, ComparisonImage(decode_image(other, MAX_PIXELS)))
    return dict(tallies)


def shares(item: LabeledImage, other: LabeledImage, *labels: str) -> bool:
    """Whether two pictures have one of these labels in common; by default any."""
    if item is other:
        return not labels
    return any(
        item.labels.get(name) and item.labels.get(name) == other.labels.get(name) for name in labels or item.labels
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--every", type=int, default=10)
    options = parser.parse_args()
    with ProcessPoolExecutor(2) as pool:
        found = dict(zip(options.folders, pool.map(judge_folder, options.folders, [options.every] * 99), strict=False))
    names = list(dict.fromkeys(name for tallies in found.values() for name in tallies))
    print("| pairs | " + " | ".join(folder.name for folder in found) + " | all | transform right | ms |")
    print("| --- |" + " ---: |" * (len(found) + 3))
    for name in names:
        shares_by_set = [
            f"{np.mean(found[folder][name].is_copy):.3f}" if name in found[folder] else "" for folder in found
        ]
        together = [found[folder][name] for folder in found if name in found[folder]]
        verdicts = [one for tally in together for one in tally.is_copy]
        right = [one for tally in together for one in tally.right]
        ms = 1000 * np.median([second for tally in together for second in tally.seconds])
        cells = [f"{np.mean(verdicts):.3f} of {len(verdicts):,}", f"{np.mean(right):.3f}" if right else "", f"{ms:.0f}"]
        print(f"| {name} | " + " | ".join([*shares_by_set, *cells]) + " |")
    everything = {"all": [*found.values()]} | {folder.name: [tallies] for folder, tallies in found.items()}
    for name, folders in everything.items():
        copies = [
            one for tallies in folders for kind, each in tallies.items() if kind not in PAIRS for one in each.is_copy
        ]
        others = [one for tallies in folders for one in tallies["unrelated"].is_copy]
        false = float(np.mean(others)) * len(copies)  # as many unrelated pairs as copies, whatever number was compared
        print(f"{name}: recall {np.mean(copies):.4f}, precision {sum(copies) / (sum(copies) + false):.4f}")
