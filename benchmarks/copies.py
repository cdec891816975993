"""Precision and recall of searches for copies: `python -m benchmarks copies DATASETS [--every N]`.

DATASETS is the folder of the sets. Every Nth of 100 images of copydetect is edited in all ways of `edits` at their 3
strengths; each copy is searched among the 300 images of the set, by the methods, weights, candidates and rule of
`mode="copy"`. Then pairs of images of one class, and of one group, of the other sets are compared by the same rule:
none is a copy.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
import django
import numpy as np

from benchmarks.edits import EDITS, Others, Pixels
from similar_images import plugins
from similar_images.evaluation.description import DescribedSet, decode_image, describe_images
from similar_images.evaluation.labeled_images import LabeledImage, read_folder, sample_indices
from similar_images.measures.base import LONG_SIDE, ComparisonImage
from similar_images.measures.verdict import judge_pair
from similar_images.search.candidates import Candidate, ScoredCandidate
from similar_images.search.rerank import copies
from similar_images.signatures.distances import SignatureArray, similarities_from_distances

MODIFIED = 100
MAX_PIXELS = 80_000_000
LOOKALIKE_SETS = ("furniture", "corel", "emoji", "grocery", "clothing", "dvdcovers")


class CopySearch(NamedTuple):
    """The result of a search by one modified copy; `false_copies`: other images that reach the threshold."""

    transform: str
    strength: int
    is_verified: bool
    is_first: bool
    is_copy: bool
    false_copies: int


Task = tuple[int, list[list[ScoredCandidate]]]
"""The index of an image, and the candidates of each of its modified copies."""


def load_image(image: LabeledImage) -> ComparisonImage:
    """Read an image for a comparison."""
    return ComparisonImage.from_file(image.read(), max_pixels=MAX_PIXELS, long_side=LONG_SIDE)


def search_candidates(queries: list[Pixels], base: dict[str, SignatureArray]) -> Iterator[list[ScoredCandidate]]:
    """Yield the candidates of each query, best first, with the index of an image as its record's id."""
    weights = copies.copy_weights(base)
    values = {
        name: SignatureArray(base[name].method, [base[name].method.compute(query) for query in queries])
        for name in weights
    }
    similarities = {
        name: similarities_from_distances(base[name].method, np.concatenate(list(base[name].distances(values[name]))))
        for name in weights
    }
    blended = np.sum([weight * similarities[name] for name, weight in weights.items()], axis=0) / sum(weights.values())
    for row in range(len(queries)):
        nearest = np.argsort(-blended[row], kind="stable")[: copies.COPY_CANDIDATES]
        yield [
            ScoredCandidate(
                float(blended[row, index]),
                Candidate(int(index), "", "", {}),
                {name: float(similarities[name][row, index]) for name in weights},
            )
            for index in nearest
        ]


def modified_copies(images: list[LabeledImage], index: int) -> Iterator[tuple[str, int, Pixels]]:
    """Yield every edited copy of one of the images: the edit, its strength, and the pixels."""
    pixels, count = decode_image(images[index], MAX_PIXELS), len(images)
    others: Others = [decode_image(images[(index + step) % count], MAX_PIXELS) for step in range(1, 17)]
    for name, edit in EDITS.items():
        for strength, copy in enumerate(edit(pixels, others)):
            yield name, strength, copy


def verify_searches(task: Task, images: list[LabeledImage]) -> list[CopySearch]:
    """Compare the modified copies of an image with their candidates."""
    cv2.setNumThreads(1)
    original, candidates_by_copy = task
    searches, load = [], cache(lambda index: load_image(images[index]))
    for (name, strength, pixels), results in zip(modified_copies(images, original), candidates_by_copy, strict=True):
        query = ComparisonImage(pixels)
        verdicts = {
            scored.candidate.record_id: judge_pair(query, load(scored.candidate.record_id), lambda: 0.0)
            for scored in copies.select_for_verification(results, copies.MAX_VERIFIED)
        }
        similarities = {}
        for scored in results:
            verdict = verdicts.get(scored.candidate.record_id)
            similarities[scored.candidate.record_id] = copies.copy_similarity(verdict, scored.similarity)
        found = {index for index, similarity in similarities.items() if similarity >= copies.COPY_THRESHOLD}
        first = max(similarities, key=lambda index: similarities[index])
        searches.append(
            CopySearch(
                name, strength, original in verdicts, first == original, original in found, len(found - {original})
            )
        )
    return searches


def sample_pairs(folder: Path, label: str, count: int) -> list[tuple[LabeledImage, LabeledImage]]:
    """Return at most so many pairs of images with the same label, always the same ones."""
    by_label: dict[str, list[LabeledImage]] = defaultdict(list)
    for image in read_folder(folder):
        if image.labels.get(label):
            by_label[image.labels[label]].append(image)
    pairs = [pair for images in by_label.values() for pair in combinations(images, 2)]
    return random.Random(0).sample(pairs, min(count, len(pairs)))


def are_copies(pair: tuple[LabeledImage, LabeledImage]) -> bool:
    """Tell whether two images count as copies, whatever their signatures say."""
    cv2.setNumThreads(1)
    verdict = judge_pair(load_image(pair[0]), load_image(pair[1]), lambda: 0.0)
    return copies.copy_similarity(verdict, 0.0) >= copies.COPY_THRESHOLD


def print_recall(searches: list[CopySearch]) -> None:
    """Print the recall by transform, as a table in Markdown."""
    print("| transform | verified | recall@1 | recall at the threshold |\n| --- | ---: | ---: | ---: |")
    parts = {"all": searches, "mild": [search for search in searches if search.strength == 0]}
    parts |= {name: [search for search in searches if search.transform == name] for name in EDITS}
    for name, part in parts.items():
        means = np.mean([(search.is_verified, search.is_first, search.is_copy) for search in part], axis=0)
        print(f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")


def make_tasks(described: DescribedSet, every: int) -> Iterator[Task]:
    """Search with all modified copies of every Nth image."""
    for index in sample_indices(len(described.images), MODIFIED)[::every]:
        queries = [pixels for _name, _strength, pixels in modified_copies(described.images, index)]
        yield index, list(search_candidates(queries, described.signatures))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=200, help="of each label of each set")
    parser.add_argument("--method", action="append", help="default: those that are enabled")
    options = parser.parse_args()
    enabled = plugins.enabled_methods()
    methods = {name: enabled.get(name) or plugins.load_method(name, {}) for name in options.method or enabled}
    described = describe_images(read_folder(options.datasets / "copydetect"), methods, MAX_PIXELS)
    tasks = list(make_tasks(described, options.every))
    with ProcessPoolExecutor(2, get_context("spawn"), django.setup) as pool:
        results = pool.map(partial(verify_searches, images=described.images), tasks)
        searches = [search for part in results for search in part]
        print(f"{len(tasks)} images modified, {len(searches)} searches by {', '.join(copies.copy_weights(methods))}")
        print_recall(searches)
        found, false = (sum(values) for values in zip(*((s.is_copy, s.false_copies) for s in searches), strict=True))
        print(f"In the set: {found} copies reach {copies.COPY_THRESHOLD:g}, and {false} other images.", flush=True)
        compared = wrong = 0
        for name in LOOKALIKE_SETS:
            for label in ("class", "group"):
                pairs = sample_pairs(options.datasets / name, label, options.pairs)
                count = sum(pool.map(are_copies, pairs, chunksize=20))
                if pairs:
                    print(f"{name}, pairs of one {label}: {count} of {len(pairs)} reach it", flush=True)
                compared, wrong = compared + len(pairs), wrong + count
    recall, false_rate = found / len(searches), wrong / max(1, compared)
    precision = recall / (recall + false_rate)
    print(f"Precision for as many look-alikes as copies: {precision:.4f} ({wrong} of {compared} wrong)")
