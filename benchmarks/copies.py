"""How surely a search for copies finds them, and nothing else: `python -m benchmarks copies DATASETS [--every N]`.

DATASETS is the folder of the sets. Of every Nth of 100 pictures of copydetect, all 15 transforms at their 3
strengths are searched for among the 300 of the set, by the methods, weights, candidates and rule of `mode="copy"`.
Then pictures of one class, and of one group, of the other sets are compared by the same rule: none is a copy.
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

import cv2
import django
import numpy as np

from similar_images import plugins
from similar_images.evaluation.description import decode_image, describe_images
from similar_images.evaluation.labeled_images import LabeledImage, read_folder, sample_indices
from similar_images.evaluation.transforms import TRANSFORMS, Pixels
from similar_images.measures.base import LONG_SIDE, ComparisonImage
from similar_images.search.candidates import Candidate, ScoredCandidate
from similar_images.search.rerank import copies
from similar_images.signatures.distances import SignatureArray, similarities_from_distances

CHANGED = 100
MAX_PIXELS = 80_000_000
LOOKALIKES = ("furniture", "corel", "emoji", "grocery", "clothing", "dvdcovers")


def view_of(item: LabeledImage) -> ComparisonImage:
    return ComparisonImage.from_file(item.read(), max_pixels=MAX_PIXELS, long_side=LONG_SIDE)


def found_by_signatures(queries: list[Pixels], base: dict[str, SignatureArray]) -> Iterator[list[ScoredCandidate]]:
    """The candidates of each query, best first, with the number of a picture as its record's."""
    weights = copies.copy_weights(base)
    percents = {}
    for name in weights:
        method = base[name].method
        values = SignatureArray(method, [method.compute(query) for query in queries])
        percents[name] = np.concatenate(
            [similarities_from_distances(method, block) for block in base[name].distances(values)]
        )
    blend = sum(weight * percents[name] for name, weight in weights.items()) / sum(weights.values())
    for row in range(len(queries)):
        places = np.argsort(-blend[row], kind="stable")[: copies.COPY_CANDIDATES]
        yield [
            ScoredCandidate(
                float(blend[row, place]),
                Candidate(int(place), "", "", {}),
                {name: float(percents[name][row, place]) for name in weights},
            )
            for place in places
        ]


def changed(item: LabeledImage) -> Iterator[tuple[str, int, Pixels]]:
    """The picture changed in every way: the transform, its strength, and the pixels."""
    pixels = decode_image(item, MAX_PIXELS)
    for name, transform in TRANSFORMS.items():
        for strength, picture in enumerate(transform(pixels)):
            yield name, strength, picture


def search(
    task: tuple[int, list[list[ScoredCandidate]]], items: list[LabeledImage]
) -> list[tuple[str, int, bool, bool, float, bool, int]]:
    """Of each changed picture: the transform, its strength, whether the original was looked at, and came first, its
    similarity, whether that reached the threshold, and how many others did."""
    cv2.setNumThreads(1)
    place, found_by_query = task
    rows, views = [], cache(lambda number: view_of(items[number]))
    for (name, strength, query), found in zip(changed(items[place]), found_by_query, strict=True):
        view, told = ComparisonImage(query), {}
        for one in copies.select_for_verification(found, copies.MAX_VERIFIED):
            number = one.candidate.record_id
            told[number] = copies.compare(view, views(number), one)
        percents = {
            number: copies.copy_similarity(*told.get(number, (None, 0.0)), one.similarity)
            for one in found
            for number in [one.candidate.record_id]
        }
        first = max(percents, key=lambda number: percents[number])
        false = sum(percent >= copies.COPY_THRESHOLD for number, percent in percents.items() if number != place)
        own = percents.get(place, 0.0)
        is_looked_at = place in told
        rows.append((name, strength, is_looked_at, first == place, own, own >= copies.COPY_THRESHOLD, false))
    return rows


def lookalikes(folder: Path, label: str, count: int) -> list[tuple[LabeledImage, LabeledImage]]:
    """At most so many pairs of pictures with the same label, always the same ones."""
    by_label: dict[str, list[LabeledImage]] = defaultdict(list)
    for item in read_folder(folder):
        if item.labels.get(label):
            by_label[item.labels[label]].append(item)
    pairs = [pair for items in by_label.values() for pair in combinations(items, 2)]
    return random.Random(0).sample(pairs, min(count, len(pairs)))


def are_copies(pair: tuple[LabeledImage, LabeledImage]) -> bool:
    cv2.setNumThreads(1)
    one = ScoredCandidate(
        0.0, Candidate(0, "", "", {}), {}
    )  # the signatures' own similarity lifts nothing over the threshold
    told = copies.compare(*(view_of(item) for item in pair), one)
    return copies.copy_similarity(*told, one.similarity) >= copies.COPY_THRESHOLD


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=200, help="of each label of each set")
    parser.add_argument("--method", action="append", help="default: those that are enabled")
    options = parser.parse_args()
    enabled = plugins.enabled_methods()
    methods = {name: enabled.get(name) or plugins.load_method(name, {}) for name in options.method or enabled}
    described = describe_images(read_folder(options.datasets / "copydetect"), methods, MAX_PIXELS)
    places = sample_indices(len(described.images), CHANGED)[:: options.every]
    tasks = []
    for place in places:
        queries = [pixels for _name, _strength, pixels in changed(described.images[place])]
        tasks.append((place, list(found_by_signatures(queries, described.signatures))))
    rows = []
    with ProcessPoolExecutor(2, get_context("spawn"), django.setup) as pool:
        for part in pool.map(partial(search, items=described.images), tasks):
            rows += part
        print(f"{len(places)} pictures changed, {len(rows)} searches by {', '.join(copies.copy_weights(methods))}")
        print("| transform | looked at | recall@1 | recall at the threshold |\n| --- | ---: | ---: | ---: |")
        kinds = {"all": rows, "mild": [row for row in rows if row[1] == 0]}
        kinds |= {name: [row for row in rows if row[0] == name] for name in TRANSFORMS}
        for name, chosen in kinds.items():
            means = [np.mean([row[column] for row in chosen]) for column in (2, 3, 5)]
            print(f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
        right, false = sum(row[5] for row in rows), sum(row[6] for row in rows)
        print(
            f"Of the set itself: {right} copies reach {copies.COPY_THRESHOLD:g}, and {false} other pictures.",
            flush=True,
        )
        compared = wrong = 0
        for name in LOOKALIKES:
            for label in ("class", "group"):
                pairs = lookalikes(options.datasets / name, label, options.pairs)
                count = sum(pool.map(are_copies, pairs, chunksize=20))
                if pairs:
                    print(f"{name} of one {label}: {count} of {len(pairs)} reach it", flush=True)
                compared, wrong = compared + len(pairs), wrong + count
    recall, rate = right / len(rows), wrong / max(1, compared)
    print(f"Precision, of as many look-alikes as copies: {recall / (recall + rate):.4f} ({wrong} of {compared} wrong)")
