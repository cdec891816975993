"""Whether copies stay above the thresholds of copies: `python -m benchmarks copy_percentages SET…`.

Each set is a source. Stricter curves are learned from one half of its images, as a source is calibrated by itself; a
third curve also takes the distances of copies that were made of these images, and keeps nine in ten of them at the
threshold of one method. Of the other half, it is told how many of its copies are at each threshold by each curve, and
how many pairs of different things.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from similar_images import conf, plugins
from similar_images.evaluation.description import decode_image, describe_images
from similar_images.evaluation.labeled_images import read_folder, sample_indices
from similar_images.evaluation.report import MarkdownTable
from similar_images.evaluation.transforms import TRANSFORMS
from similar_images.imaging.opencv import single_core
from similar_images.signatures.base import Curve, distance_from_similarity, similarities_on_curve
from similar_images.signatures.distances import SignatureArray, search_distances
from similar_images.signatures.tightening import COPY_BY_ALL, COPY_BY_ONE, SIMILAR, different_pairs, tighten_curve

from .percentages import label_of

METHODS = ("embedding", "color", "wavelet", "phash", "tiny")
"""Methods that are measured: those of the rankings, and the one that is misled most."""

COPIES = {"JPEG": 1, "resize": 1, "crop": 0, "WebP": 1}
"""Transforms that make copies as websites do, with the index of their strength."""

KEPT_SHARE = 0.9
"""Share of the copies of the first half that stay at the threshold."""


def keep_copies(curve: Curve, copies: NDArray[np.floating]) -> Curve:
    """Return a curve by which most copies stay at the threshold of one method, as far as they are nearer than 70%.

    Args:
        curve: a stricter curve.
        copies: distances of copies to their originals, (n,).
    """
    least = float(np.quantile(copies, KEPT_SHARE))
    limit = distance_from_similarity(curve, SIMILAR)
    if not 0 < least < limit or similarities_on_curve(curve, [least])[0] >= COPY_BY_ONE:
        return curve
    before = [[distance, percent] for distance, percent in curve if distance < least and percent > COPY_BY_ONE]
    after = [[distance, percent] for distance, percent in curve if distance >= limit]
    return [*before, [least, float(COPY_BY_ONE)], [limit, float(SIMILAR)], *[p for p in after if p[0] > limit]]


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks copy_percentages", description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--limit", type=int, default=300, help="Images of a set, at most.")
    options = parser.parse_args()
    for folder in options.sets:
        print(_measure_set(folder, options.limit), flush=True)


def _measure_set(folder: Path, limit: int) -> MarkdownTable:
    images = read_folder(folder)
    chosen = [images[index] for index in sample_indices(len(images), limit)]
    order = np.random.default_rng(15).permutation(len(chosen))
    methods = {name: plugins.load_method(name, {}) for name in METHODS}
    described = describe_images(tqdm([chosen[i] for i in order], desc=folder.name), methods, conf.get().max_pixels)
    copies: dict[str, list[NDArray[np.floating]]] = {name: [] for name in methods}
    with single_core():
        for index, image in enumerate(tqdm(described.images, desc="copies")):
            pixels = decode_image(image, conf.get().max_pixels)
            edited = [list(TRANSFORMS[name](pixels))[strength] for name, strength in COPIES.items()]
            for name, method in methods.items():
                original = described.signatures[name].take(np.array([index]))
                made = SignatureArray(method, [method.compute(each) for each in edited])
                copies[name].append(search_distances(original, made)[0])
    half = len(described.images) // 2
    labels = np.array([label_of(image) for image in described.images])[half:]
    upper = np.triu_indices(len(labels), 1)
    is_different = (labels[:, None] != labels)[upper]
    learned = different_pairs([array.take(np.arange(half)) for array in described.signatures.values()])
    rows: list[list[str]] = []
    by_all = {kind: [np.ones(len(labels) * len(COPIES), bool), is_different.copy()] for kind in range(3)}
    for (name, array), distances in zip(described.signatures.items(), learned, strict=True):
        strict = tighten_curve(array.method.curve, distances)
        curves = array.method.curve, strict, keep_copies(strict, np.concatenate(copies[name][:half]))
        second = array.take(np.arange(half, len(described.images)))
        pairs, edits = search_distances(second, second)[upper], np.concatenate(copies[name][half:])
        figures: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = []
        for kind, curve in enumerate(curves):
            of_copies = np.array(similarities_on_curve(curve, edits))
            of_pairs = np.array(similarities_on_curve(curve, pairs))
            figures.append((of_copies >= COPY_BY_ONE, (of_pairs >= COPY_BY_ONE)[is_different]))
            by_all[kind][0] &= of_copies >= COPY_BY_ALL
            by_all[kind][1] &= of_pairs >= COPY_BY_ALL
        is_stricter = strict is not array.method.curve
        rows.append([f"{name} at {COPY_BY_ONE}%{', stricter' if is_stricter else ''}", *_percents(figures)])
    rows.append([f"all at {COPY_BY_ALL}%", *_percents([(a, b[is_different]) for a, b in by_all.values()])])
    titles = "shipped", "stricter", "with copies"
    head = ["", *(f"{what}, {title}" for title in titles for what in ("copies", "others"))]
    return MarkdownTable(f"{folder.name}: shares of the second half, {len(labels)} images", head, rows)


def _percents(figures: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]) -> list[str]:
    return [text for copies, pairs in figures for text in (f"{100 * copies.mean():.1f}%", f"{100 * pairs.mean():.3f}%")]


if __name__ == "__main__":
    main()
