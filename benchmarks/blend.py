"""The share of color in the default ranking: `python -m benchmarks blend SET…`.

The images of each set are split into halves that have all classes and whole groups. In each half, the share with the
best mean mAP over all labels is selected, among those by which no label loses more than 0.01 against the network alone;
its mAP is then measured in the other half.
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
from tests.evaluation_settings import SIMILAR_IMAGES

SHARES = [number / 100 for number in range(16)]
MAX_LOSS = 0.01


def split_images(images: list[LabeledImage]) -> tuple[list[LabeledImage], list[LabeledImage]]:
    """Split images into every other object of each class, with all its images; without groups, every other image."""

    def object_key(image: LabeledImage) -> tuple[str, str]:
        return image.labels.get("class", ""), image.labels.get("group") or image.name

    objects = [list(group) for _key, group in groupby(sorted(images, key=object_key), object_key)]
    return list(chain.from_iterable(objects[::2])), list(chain.from_iterable(objects[1::2]))


def evaluate(images: list[LabeledImage], rankings: list[dict[str, float]]) -> Iterator[list[float]]:
    """Yield the mAP of each ranking, for every label of a half."""
    methods = {name: plugins.load_method(name, options) for name, options in SIMILAR_IMAGES["METHODS"].items()}
    described = describe_images(images, methods, 80_000_000)
    for label in ("class", "group"):
        labels = [image.labels.get(label, "") for image in described.images]
        if len(query_indices(labels)) and len(set(labels)) > 1:
            yield [retrieve(weights, described.signatures, labels).means["mAP"] for weights in rankings]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path)
    sets = [split_images(read_folder(folder)) for folder in parser.parse_args().sets]
    rankings = [{"plain": 1.0}, *({"embedding": 1 - share, "color": share} for share in SHARES)]
    tables = []
    for half in (0, 1):
        rows = [row for parts in tqdm(sets) for row in evaluate(parts[half], rankings)]
        tables.append(np.array(rows))
    print("| color | mean mAP, first half | worst against plain | second half | worst against plain |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    losses = [(table[:, 1:] - table[:, :1]).min(axis=0) for table in tables]
    means = [table.mean(axis=0) for table in tables]
    for index, share in enumerate(SHARES):
        cells = [f"{mean[index + 1]:.4f} | {loss[index]:+.4f}" for mean, loss in zip(means, losses, strict=True)]
        print(f"| {share:.2f} | {' | '.join(cells)} |")
    for half, other in ((0, 1), (1, 0)):
        allowed = np.where(losses[half] >= -MAX_LOSS, means[half][1:], 0)
        selected = int(allowed.argmax())
        print(
            f"Selected in half {half + 1}: {SHARES[selected]:.2f}. In the other: {means[other][selected + 1]:.4f} "
            f"(plain {means[other][0]:.4f}), worst {losses[other][selected]:+.4f}."
        )
