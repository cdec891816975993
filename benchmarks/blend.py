"""How much color the default ranking takes: `python -m benchmarks blend SET…`.

The pictures of each set are split into halves, each with all classes, no group torn. In each half the share of color
is chosen by which the mean mAP over all labels is best while no label loses more than 0.01 to the plain network; and
is scored in the other, of which nothing was seen.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain, groupby
from pathlib import Path

import numpy as np
from tqdm import tqdm

from similar_images import plugins
from similar_images.evaluation.description import describe_images
from similar_images.evaluation.labeled_images import LabeledImage, read_folder
from similar_images.evaluation.retrieval import query_indices, retrieve
from tests.plain import SIMILAR_IMAGES

SHARES = [number / 100 for number in range(16)]
LOSS = 0.01


def halves(items: list[LabeledImage]) -> tuple[list[LabeledImage], list[LabeledImage]]:
    """Every other thing of each class, with all its pictures; where there are no groups, every other picture."""

    def thing(item: LabeledImage) -> tuple[str, str]:
        return item.labels.get("class", ""), item.labels.get("group") or item.name

    things = [list(pictures) for _thing, pictures in groupby(sorted(items, key=thing), thing)]
    return list(chain.from_iterable(things[::2])), list(chain.from_iterable(things[1::2]))


def scores(items: list[LabeledImage], rankings: list[dict[str, float]]) -> Iterator[list[float]]:
    """The mAP by each ranking, for every label of a half."""
    methods = {name: plugins.load_method(name, options) for name, options in SIMILAR_IMAGES["METHODS"].items()}
    described = describe_images(items, methods, 80_000_000)
    for label in ("class", "group"):
        labels = [item.labels.get(label, "") for item in described.images]
        if len(query_indices(labels)) and len(set(labels)) > 1:
            yield [retrieve(weights, described.signatures, labels).means["mAP"] for weights in rankings]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path)
    sets = [halves(read_folder(folder)) for folder in parser.parse_args().sets]
    rankings = [{"plain": 1.0}, *({"embedding": 1 - share, "color": share} for share in SHARES)]
    tables = []
    for half in (0, 1):
        rows = [row for parts in tqdm(sets) for row in scores(parts[half], rankings)]
        tables.append(np.array(rows))
    print("| color | mean mAP, first half | worst against plain | second half | worst against plain |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    lost = [(table[:, 1:] - table[:, :1]).min(axis=0) for table in tables]
    means = [table.mean(axis=0) for table in tables]
    for place, share in enumerate(SHARES):
        cells = [f"{mean[place + 1]:.4f} | {worst[place]:+.4f}" for mean, worst in zip(means, lost, strict=True)]
        print(f"| {share:.2f} | {' | '.join(cells)} |")
    for half, other in ((0, 1), (1, 0)):
        allowed = np.where(lost[half] >= -LOSS, means[half][1:], 0)
        best = int(allowed.argmax())
        print(
            f"Chosen in half {half + 1}: {SHARES[best]:.2f}. In the other: {means[other][best + 1]:.4f} "
            f"(plain {means[other][0]:.4f}), worst {lost[other][best]:+.4f}."
        )
