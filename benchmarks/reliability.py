"""Whether percentages say how many pairs are similar: `python -m benchmarks reliability SET…`.

Each set is a source, centered and calibrated as one of its size. An isotonic map from percentages of the default
ranking to the share of pairs with the same label is fitted on one half of its images. Of the other half, it is told how
far the map is off, and how far percentages would be if they were shares; and how many of the first results of a search
could no longer be told apart if the map took the place of percentages.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from similar_images import conf, plugins
from similar_images.evaluation.assessment import SHOWN
from similar_images.evaluation.description import calibrate_set, center_set, describe_images
from similar_images.evaluation.labeled_images import read_folder, sample_indices
from similar_images.evaluation.neighbor_reranking import similarities_by_ranking
from similar_images.evaluation.reliability import calibration_error, fit_isotonic
from similar_images.evaluation.report import MarkdownTable
from similar_images.signatures.distances import rank_by_distance

from .percentages import label_of


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks reliability", description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--limit", type=int, default=400, help="Images of a set, at most.")
    options = parser.parse_args()
    rows = [_measure_set(folder, options.limit) for folder in options.sets]
    head = ["", "map is off by", "percentages are off by", "first results tied by the map", "by percentages"]
    print(MarkdownTable("Told of the second half", head, rows), flush=True)


def _measure_set(folder: Path, limit: int) -> list[str]:
    images = read_folder(folder)
    chosen = [images[index] for index in sample_indices(len(images), limit)]
    order = np.random.default_rng(15).permutation(len(chosen))
    ranking = {"embedding": 0.93, "color": 0.07}
    methods = {name: plugins.load_method(name, {}) for name in ranking}
    shuffled = tqdm([chosen[index] for index in order], desc=folder.name, unit=" images")
    described = calibrate_set(center_set(describe_images(shuffled, methods, conf.get().max_pixels), 1), 1)
    labels = np.array([label_of(image) for image in described.images])
    keys = np.concatenate(list(rank_by_distance(ranking, described.signatures, described.signatures)))
    percents = np.asarray(similarities_by_ranking(ranking, keys, described.signatures), np.float64)
    half = len(labels) // 2
    is_similar = labels[:, None] == labels
    first_pairs, second_pairs = np.triu_indices(half, 1), np.triu_indices(len(labels) - half, 1)
    fitted = fit_isotonic(percents[:half, :half][first_pairs], is_similar[:half, :half][first_pairs])
    told, others = percents[half:, half:][second_pairs], is_similar[half:, half:][second_pairs]
    second = np.where(np.eye(len(labels) - half, dtype=bool), -1, percents[half:, half:])
    first = -np.sort(-second, axis=1)[:, :SHOWN]
    errors = [calibration_error(told, each, others) for each in (fitted(told), told / 100)]
    ties = [float((np.diff(np.round(each, 3), axis=1) == 0).mean()) for each in (100 * fitted(first), first)]
    return [folder.name, *(f"{error or 0:.3f}" for error in errors), *(f"{100 * share:.0f}%" for share in ties)]


if __name__ == "__main__":
    main()
