"""How many pairs of different things are similar: `python -m benchmarks percentages SET…`.

Each set is a source. Of the pairs of images of different classes, or of different groups where there are no classes,
those are counted that reach 70 percent by each built-in method: by the curve as shipped, and by the one that a source
is calibrated to by itself. That is learned from one half of the images, and the counts are those of the other half. The
same is told of pairs of one class. An embedding is also measured centered.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from similar_images import conf, plugins
from similar_images.evaluation.description import DescribedSet, center_set, describe_images
from similar_images.evaluation.labeled_images import LabeledImage, read_folder, sample_indices
from similar_images.evaluation.report import MarkdownTable
from similar_images.signatures import BUILT_IN_METHODS
from similar_images.signatures.base import similarities_on_curve
from similar_images.signatures.distances import SignatureArray, search_distances
from similar_images.signatures.tightening import MAX_REFINED_IMAGES, SIMILAR, different_pairs, tighten_curve


def label_of(image: LabeledImage) -> str:
    """Return the class of an image, or its group, or its name where it has neither."""
    return image.labels.get("class") or image.labels.get("group") or image.name


def describe(folder: Path, limit: int) -> tuple[list[str], dict[str, SignatureArray]]:
    """Return the labels of a set's images, in an order by chance, and their signatures, also centered ones."""
    images = read_folder(folder)
    chosen = [images[index] for index in sample_indices(len(images), limit)]
    order = np.random.default_rng(15).permutation(len(chosen))
    methods = {name: plugins.load_method(name, {}) for name in BUILT_IN_METHODS}
    shuffled = tqdm([chosen[index] for index in order], desc=folder.name, unit=" images")
    described = describe_images(shuffled, methods, conf.get().max_pixels)
    centered = center_set(_only(described, "embedding"), 1).signatures["embedding"]
    return [label_of(image) for image in described.images], {**described.signatures, "embedding, centered": centered}


def _only(described: DescribedSet, name: str) -> DescribedSet:
    return DescribedSet(described.images, {name: described.signatures[name]}, {}, {})


def shares(labels: list[str], by_method: dict[str, SignatureArray]) -> Iterator[tuple[str, list[float]]]:
    """Yield by method the shares in percent of the second half's pairs that are similar.

    Those of different labels by the curve as shipped and as calibrated by the first half, then those of one label.
    """
    half = len(labels) // 2
    learned = different_pairs([signatures.take(np.arange(half)) for signatures in by_method.values()])
    for (name, signatures), distances in zip(by_method.items(), learned, strict=True):
        method = signatures.method
        tested = min(half, MAX_REFINED_IMAGES) if method.refines else half
        second = signatures.take(np.arange(len(labels) - tested, len(labels)))
        names, upper = np.array(labels[-tested:]), np.triu_indices(tested, 1)
        is_same: NDArray[np.bool_] = (names[:, None] == names)[upper]
        found = search_distances(second, second)[upper]
        curves = method.curve, tighten_curve(method.curve, distances)
        is_similar = [np.array(similarities_on_curve(curve, found)) >= SIMILAR for curve in curves]
        yield name, [_percent(similar[pairs]) for pairs in (~is_same, is_same) for similar in is_similar]


def _percent(is_similar: NDArray[np.bool_]) -> float:
    return 100 * float(is_similar.mean()) if len(is_similar) else np.nan


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks percentages", description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--limit", type=int, default=1_000, help="Images of a set, at most.")
    options = parser.parse_args()
    head = ["method", "different, as shipped", "different, calibrated", "of one class, as shipped", "calibrated"]
    for folder in options.sets:
        labels, by_method = describe(folder, options.limit)
        rows = [
            (name, *("–" if np.isnan(share) else f"{share:.2f}%" for share in figures))
            for name, figures in shares(labels, by_method)
        ]
        title = f"{folder.name}, {len(labels)} images: pairs of the second half at {SIMILAR}% and more"
        print(MarkdownTable(title, head, rows), flush=True)
