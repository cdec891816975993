"""From which similarity on matches are alike: `python -m benchmarks min_similarity SET…`.

All sets are one catalog, in which each image is searched by. A match is alike if it has the query's class, within its
set. Of the best matches, those in bands of similarity are counted. The least band from which on at least half of the
matches are alike is chosen by every other class of each set, and measured by the others: what such a minimum leaves of
the pages, and how much of that is alike.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from similar_images import conf, plugins
from similar_images.evaluation.description import describe_images
from similar_images.evaluation.labeled_images import read_folder, sample_indices
from similar_images.search.ranking import normalized_weights
from similar_images.signatures.distances import similarities_from_distances

MATCHES = 6
"""Matches of a page that are looked at."""

STEP = 5
"""Percentage points of a band."""

SHARES = (0.5, 0.2)
"""Shares of alike matches at a band, from which on it is shown: on a page, and in a search by an image."""


def read_catalog(folders: list[Path], limit: int) -> tuple[list[str], dict[str, NDArray[Any]]]:
    """Return the class of each image, and the similarities of all pairs by method, in percent."""
    methods = plugins.enabled_methods()
    images, classes = [], []
    for folder in folders:
        found = [image for image in read_folder(folder) if image.labels.get("class")]
        for index in sample_indices(len(found), limit):
            images.append(found[index])
            classes.append(f"{folder.name} {found[index].labels['class']}")
    described = describe_images(tqdm(images, unit=" images"), methods, conf.get().max_pixels)
    classes = [classes[images.index(image)] for image in described.images]
    similarities = {}
    for name, signatures in described.signatures.items():
        distances = np.vstack(list(signatures.distances(signatures)))
        similarities[name] = similarities_from_distances(methods[name], distances)
    return classes, similarities


def best_matches(classes: list[str], similarities: dict[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the similarity of the `MATCHES` best of each image, and whether each is alike."""
    blend = np.sum([weight * similarities[name] for name, weight in normalized_weights().items()], axis=0)
    np.fill_diagonal(blend, -1)
    order = np.argsort(-blend, axis=1)[:, :MATCHES]
    codes = np.unique(np.array(classes), return_inverse=True)[1]
    return np.take_along_axis(blend, order, axis=1), codes[order] == codes[:, None]


def band_shares(similarity: NDArray[Any], alike: NDArray[np.bool_]) -> dict[int, tuple[int, float]]:
    """Return the number of matches in each band, and the share of them that is alike."""
    bands = {}
    for low in range(0, 100, STEP):
        inside = (similarity >= low) & (similarity < low + STEP)
        if inside.any():
            bands[low] = int(inside.sum()), float(alike[inside].mean())
    return bands


def choose(bands: dict[int, tuple[int, float]], share: float) -> int:
    """Return the lowest band from which on every one has at least this share of alike matches."""
    chosen = max(bands)
    for low in sorted(bands, reverse=True):
        if bands[low][0] >= 20 and bands[low][1] < share:
            break
        chosen = low
    return chosen


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--limit", type=int, default=300, help="Images of a set, at most.")
    options = parser.parse_args()
    classes, similarities = read_catalog(options.sets, options.limit)
    similarity, alike = best_matches(classes, similarities)
    names = sorted(set(classes))
    is_first = np.array([names.index(name) % 2 == 0 for name in classes])
    first, second = (band_shares(similarity[half], alike[half]) for half in (is_first, ~is_first))
    print(f"{len(classes)} images, {len(names)} classes, {MATCHES} matches each\n")
    print("| similarity | matches, first half | alike | matches, second half | alike |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for low in sorted({*first, *second}):
        cells = [f"{count:,} | {share:.0%}" for count, share in (half.get(low, (0, 0.0)) for half in (first, second))]
        print(f"| {low}–{low + STEP}% | {' | '.join(cells)} |")
    for share in SHARES:
        least = choose(first, share)
        half, kept = alike[~is_first], similarity[~is_first] >= least
        print(
            f"\nAt least {share:.0%} alike in a band: from {least}% on by the first half. In the second, "
            f"{kept.mean():.0%} of the matches are left, and {half[kept].mean():.0%} of these are alike, against "
            f"{half.mean():.0%} of all; {half[~kept].mean():.0%} of those left out were. "
            f"{(~kept.any(axis=1)).mean():.0%} of pages are empty."
        )
