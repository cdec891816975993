"""Results as pictures: a plot of the figures, and a contact sheet of what went wrong."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..imaging.decode import UnreadableImage
from .description import decode_item
from .labeled_images import Item
from .report import EvaluationResult, mean_metrics
from .retrieval import RANDOM
from .transforms import TRANSFORMS, Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOTS = (".png", ".svg", ".pdf")
SHEETS = (".png", ".jpg", ".jpeg", ".webp")
TILE = 200
LINE = 16
CAPTION = 3 * LINE + 4
MISSES_SHOWN = 48


def plot(results: Sequence[EvaluationResult], path: Path) -> None:
    """Draw mAP by set and ranking as bars, and recall@1 by transform and ranking as a map, to one of PLOTS.

    Raises:
        ImportError: Matplotlib is not installed.
        ValueError: there were neither labels nor changed copies.
        OSError: the file can't be written.
    """
    from matplotlib.figure import Figure

    tasks = [(result, label) for result in results for label in result.retrieval]
    copies = [result for result in results if result.robustness]
    parts = bool(tasks) + len(copies)
    if not parts:
        raise ValueError("there is nothing to draw, as there were neither labels nor changed copies.")
    figure = Figure(figsize=(14, 5.5 * parts), dpi=110, layout="constrained")
    axes = list(figure.subplots(parts, 1, squeeze=False)[:, 0])
    if tasks:
        _draw_bars(
            axes.pop(0), tasks, {name: mean["mAP"] for name, mean in mean_metrics(results).items() if "mAP" in mean}
        )
    for axis, result in zip(axes, copies, strict=True):
        _draw_map(axis, result)
    figure.savefig(path)


def _draw_bars(axis: Axes, tasks: Sequence[tuple[EvaluationResult, str]], mean: dict[str, float]) -> None:
    rankings = sorted(mean, key=lambda name: -mean[name])
    width = 0.88 / len(rankings)
    for i, name in enumerate(rankings):
        heights = [*(result.retrieval[label][name].means["mAP"] for result, label in tasks), mean[name]]
        places = np.arange(len(heights)) + (i + 0.5) * width - 0.44
        axis.bar(places, heights, width, label=name, color=_color(i, name))
    axis.set_xticks(range(len(tasks) + 1), [*(f"{result.name}\n{label}" for result, label in tasks), "mean"])
    axis.set_ylim(0, 1)
    axis.set_ylabel("mean average precision")
    axis.set_title("Pictures with the same label, found: mAP by set and method")
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)
    axis.legend(ncols=7, fontsize="small", loc="upper right")


def _draw_map(axis: Axes, result: EvaluationResult) -> None:
    rankings = sorted(result.robustness, key=lambda name: -result.robustness[name].means["copy-recall@1"])
    shares = np.array([result.robustness[name].values[..., 1].mean(axis=(0, 2)) for name in rankings])
    axis.imshow(shares, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    axis.set_xticks(range(len(TRANSFORMS)), TRANSFORMS)
    axis.set_yticks(range(len(rankings)), rankings)
    for (row, column), share in np.ndenumerate(shares):
        ink = "black" if share > 0.6 else "white"
        axis.text(column, row, f"{share:.2f}", ha="center", va="center", color=ink, fontsize="small")
    axis.set_title(f"Changed copies, found: recall@1 by transform and method ({result.name})")


def _color(place: int, name: str) -> str | tuple[float, ...]:
    from matplotlib import colormaps

    return "black" if name == RANDOM else colormaps["tab20"](place % 20)


@dataclass(frozen=True)
class Miss:
    """A query that fared badly: a picture, or a changed copy of it by transform and strength.

    `about`: what to say of the query and of what came first; `rank`: where the first right picture came.
    """

    query: Item
    first: Item
    right: Item
    rank: int
    about: tuple[str, str]
    change: tuple[str, int] | None = None


def misses(results: Sequence[EvaluationResult], ranking: str) -> list[Miss]:
    """The queries with the lowest average precision by a ranking, as many of every set and label, the worst first."""
    parts = sum(len(result.retrieval) + bool(result.robustness) for result in results)
    return [miss for result in results for miss in _misses(result, ranking, max(1, MISSES_SHOWN // max(1, parts)))]


def _misses(result: EvaluationResult, ranking: str, each: int) -> list[Miss]:
    items, worst = result.described.items, []
    for label, found in result.retrieval.items():
        table = found[ranking]
        for i in _lowest(table.values[:, 0], table.rank, each):
            query, first, right = (items[places[i]] for places in (table.queries, table.first, table.best))
            about = f"{label}: {query.labels[label]}", f"{label}: {first.labels[label] or '–'}"
            worst.append(Miss(query, first, right, int(table.rank[i]), about))
    if result.robustness:
        copies = result.robustness[ranking]
        for i in _lowest(copies.values[..., 0].ravel(), copies.rank.ravel(), each):
            place, kind, strength = (int(part) for part in np.unravel_index(i, copies.rank.shape))
            name, transform = list(TRANSFORMS.items())[kind]
            original, first = items[copies.queries[place]], items[copies.first[place, kind, strength]]
            about = f"{name}: {list(transform.strengths)[strength]}", ""
            worst.append(Miss(original, first, original, int(copies.rank.flat[i]), about, (name, strength)))
    return worst


def _lowest(values: np.ndarray, ranks: np.ndarray, count: int) -> list[int]:
    """The places of the lowest values that are no hits; of equal ones, of the highest rank."""
    wrong = (int(place) for place in np.flatnonzero(ranks > 1))
    return heapq.nsmallest(count, wrong, key=lambda place: (values[place], -ranks[place], place))


def sheet(worst: Sequence[Miss], path: Path, max_pixels: int) -> None:
    """Draw what was searched with, what came first, and the right one that came first, to one of SHEETS.

    Raises:
        OSError: the file can't be written.
    """
    columns, line = 2, TILE + CAPTION
    rows = -(-len(worst) // columns)
    image = Image.new("RGB", (columns * (3 * TILE + 20), max(1, rows) * line), "white")
    draw = ImageDraw.Draw(image)
    for i, miss in enumerate(worst):
        left, top = (i // rows) * (3 * TILE + 20), (i % rows) * line
        query = _pixels(miss.query, max_pixels)
        if query is not None and miss.change:
            name, strength = miss.change
            query = list(TRANSFORMS[name](query))[strength]
        tiles = (
            (query, ("searched with", miss.about[0], miss.query.name)),
            (_pixels(miss.first, max_pixels), ("came first", miss.about[1], miss.first.name)),
            (_pixels(miss.right, max_pixels), (f"right, came as number {miss.rank:,}", "", miss.right.name)),
        )
        for j, (pixels, captions) in enumerate(tiles):
            _draw_tile(image, draw, (left + j * TILE, top), pixels, captions)
    image.save(path)


def _draw_tile(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    pixels: Pixels | None,
    captions: Sequence[str],
) -> None:
    font = ImageFont.load_default(12)
    left, top = corner
    if pixels is not None:
        tile = Image.fromarray(pixels)
        tile.thumbnail((TILE - 8, TILE - 8))
        image.paste(tile, (left + (TILE - tile.width) // 2, top + (TILE - tile.height) // 2))
    for line, text in enumerate(captions):
        draw.text((left + 5, top + TILE + LINE * line), _shortened(text, font), "black", font)


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """As much of the end of a text, where names differ, as fits below a tile."""
    short = text
    while font.getlength(short) > TILE - 10:
        short = "…" + short[2:]
    return short


def _pixels(item: Item, max_pixels: int) -> Pixels | None:
    try:
        return decode_item(item, max_pixels)
    except (UnreadableImage, OSError):
        return None
