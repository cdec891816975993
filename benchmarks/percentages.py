"""How many pairs of different things are similar: `python -m benchmarks percentages SET…`.

Each set is a source. Of the pairs of images of different classes, or of different groups where there are no classes,
those are counted that reach 70 percent by each built-in method: by the curve as shipped, and by the one that a source
is calibrated to by itself. That is learned from one half of the images, and the counts are those of the other half. The
same is told of pairs of one class. An embedding is also measured centered.
"""

from __future__ import annotations

import argparse
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
from similar_images.signatures.distances import SignatureArray, pair_distances, search_distances
from similar_images.signatures.tightening import SIMILAR, most_compared, tighten_curve


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


def shares(labels: list[str], signatures: SignatureArray) -> list[float]:
    """Return the shares in percent of the second half's pairs that are similar.

    Those of different labels by the curve as shipped and as calibrated by the first half, then those of one label.
    """
    method = signatures.method
    half = min(signatures.count // 2, most_compared(method))
    first, second = (signatures.take(np.arange(start, start + half)) for start in (0, signatures.count - half))
    names = np.array(labels[signatures.count - half :])
    upper = np.triu_indices(half, 1)
    is_same: NDArray[np.bool_] = (names[:, None] == names)[upper]
    distances = search_distances(second, second)[upper]
    is_similar = [
        np.array(similarities_on_curve(curve, distances)) >= SIMILAR
        for curve in (method.curve, tighten_curve(method.curve, pair_distances(first)))
    ]
    return [_percent(similar[pairs]) for pairs in (~is_same, is_same) for similar in is_similar]


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
            (name, *("–" if np.isnan(share) else f"{share:.2f}%" for share in shares(labels, signatures)))
            for name, signatures in by_method.items()
        ]
        title = f"{folder.name}, {len(labels)} images: pairs of the second half at {SIMILAR}% and more"
        print(MarkdownTable(title, head, rows), flush=True)
