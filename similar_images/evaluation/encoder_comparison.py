"""Two encoders side by side, on images of one source or folder: speed, what they find, and what editors said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import conf
from ..imaging.decode import UnreadableImage
from ..imaging.opencv import single_core
from ..signatures.base import Method
from ..signatures.distances import similarities_from_distances
from .description import DescribedSet, center_set, decode_image, describe_images
from .labeled_images import LabeledImage, sample_indices
from .retrieval import query_indices, retrieve
from .robustness import evaluate_robustness

COMPARED_NEIGHBORS = 10
"""Nearest images of each that are compared."""

MIN_MARKS = 5
"""Marks of each verdict from which their agreement is told, at least."""

FIGURE_TITLES = (
    ("milliseconds", "ms an image", ".1f"),
    ("bytes", "bytes an image", ",.0f"),
    ("copy_recall", "original of a copy first", ".3f"),
    ("copy_rank", "mean of 1 / its rank", ".3f"),
    ("agreement", "agreement with marks", ".3f"),
    ("precision", "mAP by label", ".3f"),
)
"""Attribute, title and format of each figure, in the order of the table."""


@dataclass(frozen=True)
class EncoderFigures:
    """Speed, size and quality of one encoder on the images; shares are from 0 to 1.

    Attributes:
        milliseconds: median processor time for an image.
        bytes: size of a signature in PostgreSQL.
        copy_recall: how often the original comes first when an edited copy is searched with; None without copies.
        copy_rank: the mean of 1 / the rank of the original; None without copies.
        agreement: how often a pair that was marked as alike is nearer than one that was marked as different; None
            where there are too few marks.
        precision: mean average precision of images with the same label; None without labels.
    """

    milliseconds: float
    bytes: float
    copy_recall: float | None
    copy_rank: float | None
    agreement: float | None
    precision: float | None


@dataclass(frozen=True)
class Neighbor:
    """An image near another one: its index, its similarity in percent, and whether both encoders find it."""

    index: int
    similarity: float
    is_common: bool


@dataclass(frozen=True)
class EncoderComparison:
    """The figures of encoders by name, and the nearest images of each image by encoder.

    Attributes:
        described: the images, with the signatures by encoder.
        figures: by name of the encoder.
        neighbors: by name of the encoder, those of every image, nearest first.
        overlap: mean share of an image's nearest that both encoders find.
        labeled: number of images with the label of another one.
    """

    described: DescribedSet
    figures: Mapping[str, EncoderFigures]
    neighbors: Mapping[str, Sequence[Sequence[Neighbor]]]
    overlap: float
    labeled: int


def compare_encoders(
    images: Sequence[LabeledImage],
    methods: Mapping[str, Method],
    *,
    copied: int,
    marks: Iterable[tuple[str, str, bool]] = (),
    progress: Callable[..., Iterable[Any]] = lambda items, **_options: items,
) -> EncoderComparison:
    """Describe images by two encoders, and compare what they find.

    They are centered as searches of a source of so many images would be.

    Args:
        images: the images, two at least; with a "label" where that is known.
        methods: two encoders by name.
        copied: number of images of which edited copies are made, to be searched with.
        marks: names of two images, and whether they were marked as alike.
        progress: wraps an iterable to show progress, as tqdm does.

    Raises:
        UnreadableImage: fewer than two of the images can be read.
    """
    described = describe_images(progress(images, unit=" images", desc="described"), methods, conf.get().max_pixels)
    if len(described.images) < 2:
        raise UnreadableImage("Fewer than two of the images can be read.")
    described = center_set(described, conf.get().center_from)
    distances = {name: _distances_among(described, name) for name in methods}
    copies = _search_with_copies(described, methods, copied, progress)
    pairs = _find_pairs(described.images, marks)
    labels = [image.labels.get("label", "") for image in described.images]
    labeled = len(query_indices(labels))
    figures: dict[str, EncoderFigures] = {}
    for name in methods:
        recall, rank = copies.get(name, (None, None))
        by_label = retrieve({name: 1}, described.signatures, labels) if labeled else None
        figures[name] = EncoderFigures(
            milliseconds=described.milliseconds[name],
            bytes=described.signatures[name].mean_bytes(),
            copy_recall=recall,
            copy_rank=rank,
            agreement=_measure_agreement(distances[name], pairs),
            precision=by_label.means["mAP"] if by_label else None,
        )
    order = {
        name: matrix.argsort(axis=1, kind="stable")[:, : min(COMPARED_NEIGHBORS, len(matrix) - 1)]
        for name, matrix in distances.items()
    }
    common = [set(a.tolist()) & set(b.tolist()) for a, b in zip(*order.values(), strict=True)]
    width = next(iter(order.values())).shape[1]
    neighbors = {
        name: [
            _list_neighbors(described.signatures[name].method, matrix, row, order[name][row], common[row])
            for row in range(len(matrix))
        ]
        for name, matrix in distances.items()
    }
    return EncoderComparison(described, figures, neighbors, sum(map(len, common)) / (width * len(common)), labeled)


def _distances_among(described: DescribedSet, name: str) -> NDArray[np.float32]:
    """Return the distances of all pairs of images, those of an image to itself infinite."""
    signatures = described.signatures[name]
    distances = np.concatenate(list(signatures.distances(signatures)))
    np.fill_diagonal(distances, np.inf)
    return distances


def _list_neighbors(
    method: Method, distances: NDArray[np.float32], row: int, nearest: NDArray[np.intp], common: set[int]
) -> list[Neighbor]:
    similarities = similarities_from_distances(method, distances[row, nearest])
    return [
        Neighbor(index, float(percent), index in common)
        for index, percent in zip(nearest.tolist(), similarities, strict=True)
    ]


def _search_with_copies(
    described: DescribedSet, methods: Mapping[str, Method], count: int, progress: Callable[..., Iterable[Any]]
) -> dict[str, tuple[float, float]]:
    """Return, by encoder, how often the original of a copy comes first, and the mean of 1 / its rank."""
    indices = sample_indices(len(described.images), count)
    originals = (
        (index, decode_image(described.images[index], conf.get().max_pixels))
        for index in progress(indices, unit=" images", desc="copies")
    )
    with single_core():
        results = evaluate_robustness({name: {name: 1} for name in methods}, described.signatures, originals)
    return {name: (part.means["copy-recall@1"], part.means["copy-AP"]) for name, part in results.items()}


def _find_pairs(images: Sequence[LabeledImage], marks: Iterable[tuple[str, str, bool]]) -> list[tuple[int, int, bool]]:
    indices = {image.name: index for index, image in enumerate(images)}
    return [(indices[a], indices[b], is_alike) for a, b, is_alike in marks if a in indices and b in indices]


def _measure_agreement(distances: NDArray[np.float32], pairs: Sequence[tuple[int, int, bool]]) -> float | None:
    """Return the area under the ROC curve: how often a pair marked as alike is nearer than one marked as different."""
    alike = np.array([distances[a, b] for a, b, is_alike in pairs if is_alike])
    different = np.array([distances[a, b] for a, b, is_alike in pairs if not is_alike])
    if min(len(alike), len(different)) < MIN_MARKS:
        return None
    nearer = (alike[:, None] < different).mean() + (alike[:, None] == different).mean() / 2
    return float(nearer)


def figures_as_rows(comparison: EncoderComparison) -> list[list[str]]:
    """Return the figures as a table of texts, the names of the encoders first; figures that none has are left out."""
    rows = [["", *comparison.figures]]
    for attribute, title, form in FIGURE_TITLES:
        values = [getattr(figures, attribute) for figures in comparison.figures.values()]
        if any(value is not None for value in values):
            rows.append([title, *("" if value is None else format(value, form) for value in values)])
    shared = {
        "nearest in common": f"{comparison.overlap:.3f}",
        "images": f"{len(comparison.described.images)}",
        "of these, with the label of another": f"{comparison.labeled}" if comparison.labeled else "",
    }
    return [*rows, *([title, text, text] for title, text in shared.items() if text)]


def comparison_as_json(comparison: EncoderComparison) -> dict[str, Any]:
    """Return the figures for scripts."""
    return {
        "pictures": len(comparison.described.images),
        "unreadable": comparison.described.unreadable,
        "overlap": comparison.overlap,
        "labeled": comparison.labeled,
        "encoders": {name: asdict(figures) for name, figures in comparison.figures.items()},
    }
