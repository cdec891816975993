"""How often the sentences about two images are true: `python -m benchmarks resemblance SET…`.

The demo's own images, of which family, color and copies are known, and further labeled sets. Each image is searched by,
and its best matches are described, first by their scores, then by comparing the images. Copies of each set are made, as
people edit images. Families, or classes, take turns: the thresholds were chosen on the first half of them.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from similar_images import conf, plugins
from similar_images.evaluation.description import DescribedSet, decode_image, describe_images
from similar_images.evaluation.labeled_images import LabeledImage, read_folder, sample_indices
from similar_images.evaluation.transforms import TRANSFORMS
from similar_images.measures.base import ComparisonImage
from similar_images.search.ranking import image_scores, normalized_weights
from similar_images.search.resemblance import Resemblance, describe_pair, describe_scores
from similar_images.signatures.distances import similarities_from_distances

MATCHES = 5
"""Matches of an image that are described."""

COPIED = 4
"""Images of a set of which one is edited."""

CATALOG = Path(__file__).parents[1] / "project" / "catalog"

EDITS = ("resize", "JPEG", "crop", "mirror", "gray", "brightness", "border", "text")
"""Names of the transforms by which copies are made, of medium strength."""


class Truth(NamedTuple):
    """The truth of two images; None where it is not known."""

    is_copy: bool | None
    is_same_design: bool | None
    is_other_color: bool | None
    is_same_kind: bool | None


CLAIMS: Mapping[str, Callable[[Truth], bool | None]] = {
    "same-file": lambda truth: truth.is_copy,
    "same-image": lambda truth: truth.is_copy,
    "same-view": lambda truth: truth.is_copy or truth.is_same_design,
    "other-color": lambda truth: truth.is_same_design and truth.is_other_color,
    "same-design": lambda truth: truth.is_same_design,
    "same-kind": lambda truth: truth.is_same_kind,
}
"""What a sentence of a kind claims of two images; others claim nothing of what they show."""


def catalog_truth() -> Callable[[LabeledImage, LabeledImage], Truth]:
    """Return what is known of two images of the demo."""
    with (CATALOG / "images.csv").open(encoding="utf-8") as opened_file:
        rows = {row["file"]: row for row in csv.DictReader(opened_file)}

    def judge(a: LabeledImage, b: LabeledImage) -> Truth:
        first, second = (rows[Path(image.name).name] for image in (a, b))
        originals = {row["copy_of"] or row["file"] for row in (first, second)}
        return Truth(
            len(originals) == 1,
            first["family"] == second["family"],
            first["color"] != second["color"],
            first["category"] == second["category"],
        )

    return judge


def judge_by_labels(a: LabeledImage, b: LabeledImage) -> Truth:
    """Return what is known of two images of a labeled set."""
    group, kind = (a.labels.get(name) for name in ("group", "class"))
    return Truth(
        False,
        group == b.labels.get("group") if group else None,
        None,
        kind == b.labels.get("class") if kind else None,
    )


def best_pairs(described: DescribedSet) -> Iterator[tuple[int, int, dict[str, float]]]:
    """Yield each image with its best matches, once, and their scores."""
    methods = plugins.enabled_methods()
    scores = {
        name: similarities_from_distances(methods[name], np.vstack(list(signatures.distances(signatures))))
        for name, signatures in described.signatures.items()
    }
    blend = np.sum([weight * scores[name] for name, weight in normalized_weights().items()], axis=0)
    np.fill_diagonal(blend, -1)
    order = np.argsort(-blend, axis=1)[:, :MATCHES]
    for a, b in sorted({tuple(sorted((a, int(b)))) for a, matches in enumerate(order) for b in matches}):
        yield a, b, {name: float(values[a, b]) for name, values in scores.items()}


def half_of(image: LabeledImage, names: list[str], label: str) -> int:
    """Return the half that an image is in: every other family or class is in the second."""
    return names.index(image.labels.get(label) or "") % 2


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", type=Path)
    parser.add_argument("--limit", type=int, default=200, help="Images of a set, at most.")
    options = parser.parse_args()
    max_pixels = conf.get().max_pixels
    counts: dict[tuple[str, str, str, int], list[bool]] = defaultdict(list)

    def count(source: str, way: str, resemblance: Resemblance, half: int, truth: Truth) -> None:
        claim = CLAIMS.get(resemblance.kind)
        holds: Any = claim(truth) if claim else truth.is_same_kind
        if holds is not None:
            counts[source, way, resemblance.kind, half].append(bool(holds))

    for folder in [CATALOG / "images", *options.sets]:
        is_catalog = folder.parent == CATALOG
        judge, label = (catalog_truth(), "group") if is_catalog else (judge_by_labels, "class")
        found = list(read_folder(folder))
        chosen = [found[index] for index in sample_indices(len(found), len(found) if is_catalog else options.limit)]
        described = describe_images(tqdm(chosen, unit=" images"), plugins.enabled_methods(), max_pixels)
        names = sorted({image.labels.get(label) or "" for image in described.images})
        opened = [ComparisonImage(decode_image(image, max_pixels)) for image in described.images]
        source = "demo" if is_catalog else "other sets"
        for a, b, scores in tqdm(list(best_pairs(described)), unit=" pairs"):
            truth, half = judge(described.images[a], described.images[b]), half_of(described.images[a], names, label)
            count(source, "scores", describe_scores(scores), half, truth)
            count(source, "compared", describe_pair(opened[a], opened[b], scores), half, truth)
        for index in tqdm(range(0, len(opened), COPIED), unit=" copies"):
            edit = TRANSFORMS[EDITS[index // COPIED % len(EDITS)]]
            copy = ComparisonImage(list(edit(opened[index].original_pixels))[1])
            resemblance = describe_pair(opened[index], copy, image_scores(opened[index], copy))
            half = half_of(described.images[index], names, label)
            counts["copies made", "compared", resemblance.kind, half].append(resemblance.kind == "same-image")
    print("| images | by | kind | pairs, first half | true | pairs, second half | true |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    for source, way, kind in sorted({key[:3] for key in counts}):
        halves = [counts[source, way, kind, half] for half in (0, 1)]
        cells = [f"{len(values):,} | {np.mean(values):.0%}" if values else "0 | " for values in halves]
        print(f"| {source} | {way} | {kind} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
