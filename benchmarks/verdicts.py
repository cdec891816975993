"""How often the verdict on two images is right, and what it says: `python -m benchmarks verdicts DATASETS`.

Copies by every edit, look-alikes, and unrelated pictures, of the half that no threshold was chosen by. Right is a
verdict of an expected kind whose sentence names what was done, and nothing that was not. Where a picture was put among
others, the box that it is found in is measured, too.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import django
import numpy as np

from benchmarks.copy_pairs import PUT_AMONG_OTHERS, Pair, draw_copies, draw_lookalikes, draw_unrelated
from benchmarks.edits import EDITS, Pixels
from similar_images.measures.base import ComparisonImage
from similar_images.measures.geometry.registration import MIN_RECOLOR_DIFFERENCE
from similar_images.measures.verdict import COPY_KINDS, Verdict, judge_pair
from similar_images.search.ranking import image_similarity

MAX_BOX_ERROR = 0.05
"""Share of a side by which an edge of a box may be off."""

COLORS = {"gray", "brighter", "darker", "contrast", "recolored", "vignette"}
SHARPNESS = {"softened", "sharpened", "noisy"}
ENCODING = {"resized", "re-encoded"}


@dataclass(frozen=True)
class Expected:
    """What a sentence has to name, one of each of several sets, and what it may name besides; `size` never matters."""

    needed: tuple[frozenset[str], ...]
    allowed: frozenset[str] = frozenset()


def expect(*needed: str | set[str], allowed: set[str] | None = None) -> Expected:
    """Return the expectation that one of each of these is named."""
    sets = (frozenset({each} if isinstance(each, str) else each) for each in needed)
    return Expected(tuple(sets), frozenset(allowed or ()))


EXPECTED = {
    "resize": expect("resized"),
    "thumbnail": expect("resized"),
    "small JPEG": expect("resized", allowed=SHARPNESS),
    "JPEG": expect(allowed=SHARPNESS),
    "WebP": expect(allowed=SHARPNESS),
    "crop": expect("cropped"),
    "mirror": expect({"mirrored", "turned"}, allowed={"mirrored", "turned"}),
    "mirror and crop": expect("cropped", {"mirrored", "turned"}, allowed={"turned", "mirrored"}),
    "turn": expect("turned", allowed={"cropped", "mirrored"}),
    "turn in its frame": expect("turned", allowed={"cropped", "extended", "retouched"}),
    "border": expect("extended"),
    "pad to a square": expect(allowed={"extended"}),
    "meme": expect("extended"),
    "screenshot": expect("extended"),
    "squeeze": expect("stretched"),
    "perspective": expect({"tilted", "stretched", "cropped"}, allowed={"tilted", "stretched", "cropped", "turned"}),
    "text": expect("retouched", allowed=COLORS),
    "stickers": expect("retouched", allowed=COLORS),
    "watermark": expect({"retouched", *COLORS}, allowed={"retouched", *COLORS, *SHARPNESS}),
    "vignette": expect(COLORS, allowed={*COLORS}),
    "negative": expect("inverted", allowed=SHARPNESS),
    "blur": expect("softened"),
    "noise": expect("noisy", allowed=COLORS),
    "sharpen": expect("sharpened", allowed={*COLORS, "noisy"}),
    "few colors": expect(allowed={*COLORS, *SHARPNESS, "retouched"}),
    "crop, filter, JPEG 30": expect("cropped", COLORS, allowed={*COLORS, *SHARPNESS}),
}
"""What is to be said of each edit; of others, that colors were changed."""


@dataclass(frozen=True)
class Judgment:
    """A pair, the verdict on it, whether that is right, and the error of the box in the second picture, if any."""

    pair: Pair
    verdict: Verdict
    is_right: bool
    sentence: str
    box_error: float | None = None


def true_box(pair: Pair, pixels: Pixels) -> tuple[float, ...]:
    """Return left, top, width and height of a picture in what it was put into, in fractions of that one's sides."""
    edit, marker = EDITS[pair.edit], 128
    others = [np.zeros_like(pixels)] * 16
    changed = edit.change(np.full_like(pixels, marker), list(edit.strengths.values())[pair.strength], others)
    rows, columns = (np.flatnonzero((changed[..., 0] == marker).any(axis=axis)) for axis in (1, 0))
    height, width = changed.shape[:2]
    ends = (columns[-1] + 1 - columns[0]) / width, (rows[-1] + 1 - rows[0]) / height
    return columns[0] / width, rows[0] / height, *ends


def is_right(pair: Pair, a: Pixels, b: Pixels, verdict: Verdict) -> bool:
    """Tell whether a verdict is of the expected kind, and says what was done."""
    if not pair.is_copy:
        return verdict.kind not in COPY_KINDS and (pair.is_lookalike or verdict.kind != "same-object")
    if pair.edit in PUT_AMONG_OTHERS:
        return verdict.kind == "contains"
    if verdict.kind not in COPY_KINDS:
        return False
    expected = EXPECTED.get(pair.edit, expect(COLORS))
    named = set(verdict.changes)
    is_faint = a.shape == b.shape and float(np.abs(a.astype(float) - b).mean()) <= 1.25 * MIN_RECOLOR_DIFFERENCE
    if is_faint and not named - ENCODING:  # too little to be told
        return True
    is_named = all(one_of & named for one_of in expected.needed)
    return is_named and named <= expected.allowed.union(ENCODING, *expected.needed)


def judge(pair: Pair, datasets: Path) -> Judgment:
    """Judge a pair, and the verdict."""
    cv2.setNumThreads(1)
    a, b = pair.load(datasets)
    images = ComparisonImage(a), ComparisonImage(b)
    verdict = judge_pair(*images, lambda: image_similarity(*images))
    error = None
    if pair.edit in PUT_AMONG_OTHERS:
        error = 1.0
        if verdict.kind in COPY_KINDS and verdict.transform:
            left, top, width, height = np.subtract(verdict.transform.whole, true_box(pair, a))
            error = float(max(map(abs, (left, top, left + width, top + height))))
    return Judgment(pair, verdict, is_right(pair, a, b, verdict), verdict.text, error)


def title_of(pair: Pair) -> str:
    """Return what a pair is, in a table."""
    if pair.edit in PUT_AMONG_OTHERS:
        return "put among others"
    if pair.is_copy:
        return "copies"
    return "look-alikes" if pair.is_lookalike else "unrelated"


def print_shares(judgments: list[Judgment]) -> None:
    """Print the share of right verdicts, and of right boxes, as tables in Markdown."""
    parts: dict[str, list[Judgment]] = defaultdict(list)
    for judgment in judgments:
        parts[title_of(judgment.pair)].append(judgment)
    print("| pairs | number | verdict right | kinds |\n| --- | ---: | ---: | --- |")
    for title, part in {"all": judgments, **parts}.items():
        kinds = [judgment.verdict.kind for judgment in part]
        counts = ", ".join(f"{kind} {kinds.count(kind)}" for kind in sorted(set(kinds), key=kinds.count, reverse=True))
        print(f"| {title} | {len(part)} | {np.mean([judgment.is_right for judgment in part]):.3f} | {counts} |")
    print("\n| put among others | number | box within 5% |\n| --- | ---: | ---: |")
    boxes: dict[str, list[float]] = defaultdict(list)
    for judgment in judgments:
        if judgment.box_error is not None:
            strength = list(EDITS[judgment.pair.edit].strengths)[judgment.pair.strength]
            boxes[f"{judgment.pair.edit}, {strength}"].append(judgment.box_error)
    for title, errors in sorted(boxes.items()):
        print(f"| {title} | {len(errors)} | {np.mean(np.array(errors) <= MAX_BOX_ERROR):.3f} |")


def print_sentences(judgments: list[Judgment]) -> None:
    """Print what was done in each pair, and what is said of it."""
    for judgment in judgments:
        pair = judgment.pair
        done = f"{pair.edit}, {list(EDITS[pair.edit].strengths)[pair.strength]}" if pair.is_copy else title_of(pair)
        mark = "" if judgment.is_right else "WRONG "
        probability = f"{100 * judgment.verdict.probability:.0f}%"
        print(f"{mark}{pair.collection}/{pair.a} {pair.b} | {done} | {judgment.sentence} {probability}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--half", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=400, help="half copies; a quarter look-alikes")
    parser.add_argument("--boxes", type=int, default=20, help="pictures put among others in each way, besides")
    parser.add_argument("--sentences", type=int, default=0, help="number of them to be printed, besides the wrong ones")
    options = parser.parse_args()
    rng, draw = random.Random(options.seed), {"seed": options.seed}
    copies = draw_copies(options.datasets, options.half, per_edit=1, **draw)
    groups = [
        rng.sample([pair for pair in copies if pair.edit not in PUT_AMONG_OTHERS], options.pairs // 2),
        rng.sample(draw_lookalikes(options.datasets, options.half, **draw), options.pairs // 4),
        draw_unrelated(options.datasets, options.half, options.pairs // 4, **draw),
    ]
    boxed = [
        Pair(pair.collection, pair.a, edit=edit, strength=strength)
        for pair in rng.sample([pair for pair in copies if pair.edit == "crop"], options.boxes)
        for edit in PUT_AMONG_OTHERS
        for strength in range(3)
    ]
    with ProcessPoolExecutor(2, get_context("spawn"), django.setup) as pool:
        pairs = [pair for group in groups for pair in group]
        judgments = list(pool.map(partial(judge, datasets=options.datasets), pairs + boxed, chunksize=8))
    mixed = judgments[: len(pairs)]
    print_shares(judgments)
    print(f"Of {len(mixed)} mixed pairs, {np.mean([judgment.is_right for judgment in mixed]):.3f} are right.\n")
    right = [judgment for judgment in mixed if judgment.is_right]
    print_sentences([judgment for judgment in judgments if not judgment.is_right])
    print_sentences(rng.sample(right, min(options.sentences, len(right))))
