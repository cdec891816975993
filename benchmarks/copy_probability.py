"""The weights of the copy probability, and how well it tells: `python -m benchmarks copy_probability DATASETS`.

Fits the weights of `measures.geometry.copy_probability` to one half of copies and look-alikes, and prints them; then
measures those that are in the code on the other half.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
import django
import numpy as np

from benchmarks.copy_pairs import Pair, draw_copies, draw_lookalikes
from similar_images.measures.base import ComparisonImage
from similar_images.measures.geometry.copy_probability import LOOKALIKE_WEIGHT, copy_probability, evidence_terms
from similar_images.measures.geometry.registration import MIN_PROBABILITY, gather_evidence


class Finding(NamedTuple):
    """A pair, the terms of its evidence, None where no pose was found, and the probability by the code's weights."""

    pair: Pair
    terms: dict[str, float] | None
    probability: float


def examine(pair: Pair, datasets: Path) -> Finding | None:
    """Gather the evidence on a pair; None for two drawings that happen to be the same."""
    cv2.setNumThreads(1)
    a, b = pair.load(datasets)
    if a.shape == b.shape and np.array_equal(a, b):
        return None if not pair.is_copy else Finding(pair, None, 1.0)
    found = gather_evidence(ComparisonImage(a), ComparisonImage(b))
    if found is None:
        return Finding(pair, None, 0.0)
    return Finding(pair, evidence_terms(found[1]), copy_probability(found[1]))


def fit_weights(findings: list[Finding]) -> tuple[dict[str, float], float]:
    """Return weights and intercept of the logistic regression."""
    from sklearn.linear_model import LogisticRegression

    known = [(finding.terms, finding.pair.is_copy) for finding in findings if finding.terms]
    names = list(known[0][0])
    terms = np.array([[each[name] for name in names] for each, _is_copy in known])
    scale = terms.std(axis=0) + 1e-9
    is_copy = np.array([copy for _terms, copy in known])
    model = LogisticRegression(C=1, max_iter=5000, class_weight={True: 1, False: LOOKALIKE_WEIGHT})
    model.fit(terms / scale, is_copy)
    return dict(zip(names, (model.coef_[0] / scale).round(3).tolist(), strict=True)), round(model.intercept_[0], 3)


def print_shares(findings: list[Finding]) -> None:
    """Print the share of the copies that are found, by edit, and the look-alikes that are taken for one."""
    copies = [finding for finding in findings if finding.pair.is_copy]
    by_edit: dict[str, list[Finding]] = defaultdict(list)
    for finding in copies:
        by_edit[finding.pair.edit].append(finding)
    mild = [finding for finding in copies if finding.pair.strength == 0]
    print("| edit | copies | found |\n| --- | ---: | ---: |")
    for title, part in {"all": copies, "mild": mild, **by_edit}.items():
        found = np.mean([finding.probability >= MIN_PROBABILITY for finding in part])
        print(f"| {title} | {len(part)} | {found:.3f} |")
    by_set: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if not finding.pair.is_copy:
            by_set[finding.pair.collection].append(finding)
    print("\n| look-alikes | pairs | taken for copies | above 90% |\n| --- | ---: | ---: | ---: |")
    everything = [finding for part in by_set.values() for finding in part]
    for title, part in {"all": everything, **by_set}.items():
        probabilities = np.array([finding.probability for finding in part])
        wrong = int((probabilities >= MIN_PROBABILITY).sum())
        print(f"| {title} | {len(part)} | {wrong} | {int((probabilities > 0.9).sum())} |")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--draws", type=int, default=2, help="of the pairs, one after the other")
    parser.add_argument("--no-fit", action="store_true", help="only measure")
    options = parser.parse_args()
    with ProcessPoolExecutor(2, get_context("spawn"), django.setup) as pool:
        for half in (1,) if options.no_fit else (0, 1):
            pairs: dict[Pair, None] = {}  # a dictionary, as the second draw may repeat some
            for seed in range(options.draws):
                pairs |= dict.fromkeys(draw_copies(options.datasets, half, per_edit=1, seed=seed))
                pairs |= dict.fromkeys(draw_lookalikes(options.datasets, half, seed=seed))
            results = pool.map(partial(examine, datasets=options.datasets), pairs, chunksize=8)
            findings = [finding for finding in results if finding is not None]
            if half == 0:
                weights, intercept = fit_weights(findings)
                print("\n".join(f'    "{name}": {value},' for name, value in weights.items()))
                print(f"INTERCEPT = {intercept}", flush=True)
            else:
                print_shares(findings)
