"""Accuracy of the verdict on two images: `python -m benchmarks verdicts FOLDER… [--every N]`.

Every Nth image of each folder is copied in ten ways and compared with its copies, and as often with unrelated images.
Images of the same class or group, by labels.csv, are counted separately.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from similar_images.evaluation.description import decode_image
from similar_images.evaluation.labeled_images import LabeledImage, read_folder
from similar_images.evaluation.transforms import TRANSFORMS
from similar_images.measures.base import ComparisonImage
from similar_images.measures.verdict import COPY_KINDS, Verdict, judge_pair
from similar_images.search.ranking import image_similarity

Pixels = NDArray[np.uint8]
MAX_PIXELS = 80_000_000
PAIRS = ("unrelated", "of the same class", "of the same group")


@dataclass(frozen=True)
class ExpectedTransform:
    """The geometry of a copy; `part` is None if it was not cropped."""

    angle: float = 0.0
    part: tuple[float, float, float, float] | None = None
    is_mirrored: bool = False


@dataclass
class Tally:
    """The verdicts on pairs of one kind, whether the geometry of those on copies is right, and the processor time."""

    verdicts: list[Verdict] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def is_copy(self) -> list[bool]:
        """Whether each pair was judged to be copies."""
        return [verdict.kind in COPY_KINDS for verdict in self.verdicts]


def make_copies(pixels: Pixels, rng: random.Random) -> Iterator[tuple[str, Pixels, ExpectedTransform]]:
    """Yield ten copies, each with its title and its geometry."""
    height, width = pixels.shape[:2]
    size = round(0.7 * width), round(0.7 * height)
    left, top = rng.randrange(width - size[0] + 1), rng.randrange(height - size[1] + 1)
    part = left / width, top / height, size[0] / width, size[1] / height
    rotate, shift_hue = TRANSFORMS["turn"].change, TRANSFORMS["hue"].change
    yield (
        "cropped to 70% of each side",
        pixels[top : top + size[1], left : left + size[0]],
        ExpectedTransform(part=part),
    )
    yield "rotated by 10°, enlarged until no corner is empty", rotate(pixels, 10), ExpectedTransform(angle=10)
    yield "rotated by 10°, whole, with white corners", rotate_whole(pixels, 10), ExpectedTransform(angle=10)
    yield "rotated by 90°", rotate(pixels, 90), ExpectedTransform(angle=90)
    yield "half the size", TRANSFORMS["resize"].change(pixels, 0.5), ExpectedTransform()
    yield "JPEG at quality 50", TRANSFORMS["JPEG"].change(pixels, 50), ExpectedTransform()
    yield "mirrored", pixels[:, ::-1], ExpectedTransform(is_mirrored=True)
    yield "hue shifted by 30°", shift_hue(pixels, 30), ExpectedTransform()
    yield "hue shifted by 90°", shift_hue(pixels, 90), ExpectedTransform()
    yield "text overlay, letters 8% high", TRANSFORMS["text"].change(pixels, 0.08), ExpectedTransform()


def rotate_whole(pixels: Pixels, degrees: float) -> Pixels:
    """Rotate and enlarge the canvas, with white corners."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = round(width * cos + height * sin), round(width * sin + height * cos)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return np.asarray(cv2.warpAffine(pixels, matrix, size, borderValue=(255, 255, 255)), np.uint8)


def reencode(pixels: Pixels) -> Pixels:
    """Encode as JPEG at quality 90, and decode."""
    return np.ascontiguousarray(TRANSFORMS["JPEG"].change(np.ascontiguousarray(pixels), 90))


def is_right(verdict: Verdict, expected: ExpectedTransform) -> bool:
    """Tell whether the verdict has the expected geometry, within 1° and 2% of a side."""
    found = verdict.transform
    if found is None or found.is_mirrored != expected.is_mirrored:
        return False
    if abs((found.angle - expected.angle + 180) % 360 - 180) > 1:
        return False
    return expected.part is None or bool(np.abs(np.subtract(found.part, expected.part)).max() <= 0.02)


def judge_folder(folder: Path, every: int) -> dict[str, Tally]:
    """Judge the pairs of a folder; return the tallies by kind of pair."""
    cv2.setNumThreads(1)
    rng = random.Random(0)
    images = read_folder(folder)
    if len({image.labels.get("class") for image in images}) == 1:  # one class for all images separates nothing
        images = [replace(image, labels={"group": image.labels.get("group", "")}) for image in images]
    tallies: dict[str, Tally] = defaultdict(Tally)

    def judge(name: str, a: ComparisonImage, b: ComparisonImage, expected: ExpectedTransform | None = None) -> None:
        started = time.process_time()
        verdict = judge_pair(a, b, partial(image_similarity, a, b))
        tallies[name].seconds.append(time.process_time() - started)
        tallies[name].verdicts.append(verdict)
        if expected and verdict.kind in COPY_KINDS:
            tallies[name].right.append(is_right(verdict, expected))

    for image in images[::every]:
        pixels = decode_image(image, MAX_PIXELS)
        original = ComparisonImage(pixels)
        for name, copy, expected in make_copies(pixels, rng):
            judge(name, original, ComparisonImage(reencode(copy)), expected)
        partners = {
            "unrelated": [b for b in images if not has_common_label(image, b)],
            "of the same class": [
                b for b in images if has_common_label(image, b, "class") and not has_common_label(image, b, "group")
            ],
            "of the same group": [b for b in images if has_common_label(image, b, "group")],
        }
        for name, candidates in partners.items():
            for candidate in rng.sample(candidates, min(len(candidates), 10 if name == "unrelated" else 5)):
                judge(name, original, ComparisonImage(decode_image(candidate, MAX_PIXELS)))
    return dict(tallies)


def has_common_label(a: LabeledImage, b: LabeledImage, *labels: str) -> bool:
    """Tell whether two images share one of these labels; by default any."""
    if a is b:
        return not labels
    return any(a.labels.get(name) and a.labels.get(name) == b.labels.get(name) for name in labels or a.labels)


def print_tallies(tallies: dict[Path, dict[str, Tally]]) -> None:
    """Print the share of pairs that are judged to be copies, by kind of pair, as a table in Markdown."""
    print("| pairs | " + " | ".join(folder.name for folder in tallies) + " | all | transform right | ms |")
    print("| --- |" + " ---: |" * (len(tallies) + 3))
    for name in dict.fromkeys(name for by_name in tallies.values() for name in by_name):
        by_set = [f"{np.mean(by_name[name].is_copy):.3f}" if name in by_name else "" for by_name in tallies.values()]
        parts = [by_name[name] for by_name in tallies.values() if name in by_name]
        is_copy, right, seconds = (
            list(chain.from_iterable(getattr(tally, field) for tally in parts))
            for field in ("is_copy", "right", "seconds")
        )
        share = f"{np.mean(is_copy):.3f} of {len(is_copy):,}"
        cells = [*by_set, share, f"{np.mean(right):.3f}" if right else "", f"{1000 * np.median(seconds):.0f}"]
        print(f"| {name} | " + " | ".join(cells) + " |")


def print_precision(title: str, tallies: Iterable[dict[str, Tally]]) -> None:
    """Print recall and precision, for as many unrelated pairs as copies, whatever number was compared."""
    tallies = list(tallies)
    copies = [
        is_copy
        for by_name in tallies
        for name, tally in by_name.items()
        if name not in PAIRS
        for is_copy in tally.is_copy
    ]
    unrelated = [is_copy for by_name in tallies for is_copy in by_name["unrelated"].is_copy]
    false = float(np.mean(unrelated)) * len(copies)
    print(f"{title}: recall {np.mean(copies):.4f}, precision {sum(copies) / (sum(copies) + false):.4f}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--every", type=int, default=10)
    options = parser.parse_args()
    with ProcessPoolExecutor(2) as pool:
        results = pool.map(partial(judge_folder, every=options.every), options.folders)
        tallies = dict(zip(options.folders, results, strict=True))
    print_tallies(tallies)
    print_precision("all", tallies.values())
    for folder, by_name in tallies.items():
        print_precision(folder.name, [by_name])
