"""Drawings of evaluation results: a plot of the metrics, and a contact sheet of the worst misses."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from similar_images.evaluation.description import decode_image
from similar_images.evaluation.labeled_images import LabeledImage
from similar_images.evaluation.report import EvaluationResult, mean_metrics
from similar_images.evaluation.retrieval import RANDOM
from similar_images.evaluation.transforms import TRANSFORMS, Pixels
from similar_images.imaging.decode import UnreadableImage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT_SUFFIXES = (".png", ".svg", ".pdf")
SHEET_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
TILE_SIDE, LINE_HEIGHT = 200, 16
"""Pixels."""

CAPTION_HEIGHT = 3 * LINE_HEIGHT + 4
MAX_MISSES_SHOWN = 48


def plot_results(results: Sequence[EvaluationResult], path: Path) -> None:
    """Draw mAP by set and ranking as bars, and recall@1 by transform and ranking as a heat map.

    Raises:
        ImportError: Matplotlib is not installed.
        ValueError: there were neither labels nor modified copies.
        OSError: the file can't be written.
    """
    from matplotlib.figure import Figure

    tasks = [(result, label) for result in results for label in result.retrieval]
    copies = [result for result in results if result.robustness]
    parts = bool(tasks) + len(copies)
    if not parts:
        raise ValueError("there is nothing to draw, as there were neither labels nor modified copies.")
    figure = Figure(figsize=(14, 5.5 * parts), dpi=110, layout="constrained")
    axes = list(figure.subplots(parts, 1, squeeze=False)[:, 0])
    if tasks:
        _draw_bars(
            axes.pop(0), tasks, {name: mean["mAP"] for name, mean in mean_metrics(results).items() if "mAP" in mean}
        )
    for axis, result in zip(axes, copies, strict=True):
        _draw_heat_map(axis, result)
    figure.savefig(path)


def _draw_bars(axis: Axes, tasks: Sequence[tuple[EvaluationResult, str]], mean: dict[str, float]) -> None:
    rankings = sorted(mean, key=lambda name: -mean[name])
    width = 0.88 / len(rankings)
    for i, name in enumerate(rankings):
        heights = [*(result.retrieval[label][name].means["mAP"] for result, label in tasks), mean[name]]
        positions = np.arange(len(heights)) + (i + 0.5) * width - 0.44
        axis.bar(positions, heights, width, label=name, color=_color(i, name))
    axis.set_xticks(range(len(tasks) + 1), [*(f"{result.name}\n{label}" for result, label in tasks), "mean"])
    axis.set_ylim(0, 1)
    axis.set_ylabel("mean average precision")
    axis.set_title("Images with the same label, found: mAP by set and method")
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)
    axis.legend(ncols=7, fontsize="small", loc="upper right")


def _draw_heat_map(axis: Axes, result: EvaluationResult) -> None:
    rankings = sorted(result.robustness, key=lambda name: -result.robustness[name].means["copy-recall@1"])
    shares = np.array([result.robustness[name].recall_by_transform for name in rankings])
    axis.imshow(shares, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    axis.set_xticks(range(len(TRANSFORMS)), TRANSFORMS)
    axis.set_yticks(range(len(rankings)), rankings)
    for (row, column), share in np.ndenumerate(shares):
        ink = "black" if share > 0.6 else "white"
        axis.text(column, row, f"{share:.2f}", ha="center", va="center", color=ink, fontsize="small")
    axis.set_title(f"Modified copies, found: recall@1 by transform and method ({result.name})")


def _color(index: int, name: str) -> str | tuple[float, ...]:
    from matplotlib import colormaps

    return "black" if name == RANDOM else colormaps["tab20"](index % 20)


@dataclass(frozen=True)
class Miss:
    """A query with a low average precision.

    `query`: the query image, modified by `transform`, a name and the index of a strength, if there is one. `first`: the
    image that ranked first. `relevant`: the relevant image that ranked best, and `rank`: its rank. `captions`: notes on
    the query and on the image that ranked first.
    """

    query: LabeledImage
    first: LabeledImage
    relevant: LabeledImage
    rank: int
    captions: tuple[str, str]
    transform: tuple[str, int] | None = None


def worst_misses(results: Sequence[EvaluationResult], ranking: str) -> list[Miss]:
    """Return the queries with the lowest average precision by a ranking, as many of every set and label."""
    parts = sum(len(result.retrieval) + bool(result.robustness) for result in results)
    count = max(1, MAX_MISSES_SHOWN // max(1, parts))
    return [
        miss
        for result in results
        for miss in (*_retrieval_misses(result, ranking, count), *_copy_misses(result, ranking, count))
    ]


def _retrieval_misses(result: EvaluationResult, ranking: str, count: int) -> Iterator[Miss]:
    images = result.described.images
    for label, by_ranking in result.retrieval.items():
        retrieval = by_ranking[ranking]
        for i in _lowest(retrieval.values[:, 0], retrieval.rank, count):
            query, first, relevant = (images[part[i]] for part in (retrieval.queries, retrieval.first, retrieval.best))
            captions = f"{label}: {query.labels[label]}", f"{label}: {first.labels[label] or '–'}"
            yield Miss(query, first, relevant, int(retrieval.rank[i]), captions)


def _copy_misses(result: EvaluationResult, ranking: str, count: int) -> Iterator[Miss]:
    if not result.robustness:
        return
    images, copies = result.described.images, result.robustness[ranking]
    for i in _lowest(copies.values[..., 0].ravel(), copies.rank.ravel(), count):
        query, number, strength = (int(part) for part in np.unravel_index(i, copies.rank.shape))
        name, transform = list(TRANSFORMS.items())[number]
        original, first = images[copies.queries[query]], images[copies.first[query, number, strength]]
        captions = f"{name}: {list(transform.strengths)[strength]}", ""
        yield Miss(original, first, original, int(copies.rank.flat[i]), captions, (name, strength))


def _lowest(values: np.ndarray, ranks: np.ndarray, count: int) -> list[int]:
    """Return the indices of the lowest values whose rank is not 1; of equal values, those of the highest rank."""
    misses = (int(index) for index in np.flatnonzero(ranks > 1))
    return heapq.nsmallest(count, misses, key=lambda index: (values[index], -ranks[index], index))


def draw_misses(misses: Sequence[Miss], path: Path, max_pixels: int) -> None:
    """Draw the query, what ranked first, and the relevant image that ranked best, to one of SHEET_SUFFIXES.

    Raises:
        OSError: the file can't be written.
    """
    columns, height = 2, TILE_SIDE + CAPTION_HEIGHT
    rows = -(-len(misses) // columns)
    sheet = Image.new("RGB", (columns * (3 * TILE_SIDE + 20), max(1, rows) * height), "white")
    for i, miss in enumerate(misses):
        left, top = (i // rows) * (3 * TILE_SIDE + 20), (i % rows) * height
        query = _decode(miss.query, max_pixels)
        if query is not None and miss.transform:
            name, strength = miss.transform
            query = list(TRANSFORMS[name](query))[strength]
        tiles = (
            (query, ("query", miss.captions[0], miss.query.name)),
            (_decode(miss.first, max_pixels), ("ranked first", miss.captions[1], miss.first.name)),
            (_decode(miss.relevant, max_pixels), (f"relevant, ranked {miss.rank:,}", "", miss.relevant.name)),
        )
        for j, (pixels, captions) in enumerate(tiles):
            _draw_tile(sheet, (left + j * TILE_SIDE, top), pixels, captions)
    sheet.save(path)


def _draw_tile(sheet: Image.Image, corner: tuple[int, int], pixels: Pixels | None, captions: Sequence[str]) -> None:
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    left, top = corner
    if pixels is not None:
        tile = Image.fromarray(pixels)
        tile.thumbnail((TILE_SIDE - 8, TILE_SIDE - 8))
        sheet.paste(tile, (left + (TILE_SIDE - tile.width) // 2, top + (TILE_SIDE - tile.height) // 2))
    for line, text in enumerate(captions):
        draw.text((left + 5, top + TILE_SIDE + LINE_HEIGHT * line), _shorten(text, font), "black", font)


def _shorten(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Cut the start of a text, as names differ at the end, until it fits below a tile."""
    short = text
    while font.getlength(short) > TILE_SIDE - 10:
        short = "…" + short[2:]
    return short


def _decode(image: LabeledImage, max_pixels: int) -> Pixels | None:
    try:
        return decode_image(image, max_pixels)
    except (UnreadableImage, OSError):
        return None
