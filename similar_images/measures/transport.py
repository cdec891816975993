"""Earth mover's distances of two images, with the flow: what moves where to turn one into the other.

Rubner, Tomasi and Guibas, "The Earth Mover's Distance as a Metric for Image Retrieval" (2000).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..signatures.palette import extract_palette
from .base import ComparisonImage, Measure, MeasureResult, Unavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .base import Pixels

    Numbers = NDArray[np.float64]

GRID = 16
"""Rows, and columns, of the grid of `emd-gray`."""

REGIONS = 4
"""Rows, and columns, of the regions between which its moves are reported."""

MAX_MOVES = 12
"""Number of moves reported and drawn, at most: those of the most work, which is amount times distance."""


@dataclass(frozen=True)
class ColorFlow:
    """The main colors of two images in RGB, (n, 3) and (m, 3), and how much of each becomes which: (n, m), of sum 1."""

    a: Pixels
    b: Pixels
    amounts: Numbers


def solve_transport(cost: Numbers, supply: Numbers, demand: Numbers) -> Numbers:
    """Move supply (n,) to demand (m,), of the same sum, at the least cost per unit (n, m): amounts (n, m).

    Bonneel, van de Panne, Paris and Heidrich, "Displacement Interpolation Using Lagrangian Mass Transport" (2011), by
    POT. OpenCV's own solver works in single precision and stops early, up to 1e-4 above the least cost.

    Raises:
        Unavailable: POT is not installed.
    """
    import numpy as np

    try:
        import ot
    except ImportError:
        raise Unavailable(_missing_pot()) from None
    total = supply.sum()
    if not total:
        return np.zeros(cost.shape)
    amounts = ot.emd(supply / total, demand / demand.sum(), np.ascontiguousarray(cost), numItermax=1_000_000)
    return np.asarray(total * amounts, np.float64)


def _missing_pot() -> str:
    return gettext("The earth mover's distance needs POT: pip install similar_images[compare]")


class EarthMoversDistance(Measure):
    """A measure that solves a transport problem."""

    def check(self) -> list[str]:
        """Return a message if the package POT is missing."""
        return [] if find_spec("ot") else [_missing_pot()]


class EmdColor(EarthMoversDistance):
    """Earth mover's distance of the main colors of two images in CIE Lab, without their white: 0 to 258.7.

    Args:
        colors: main colors of an image, at most.
        white_tolerance: how far below 255 the channels of a near-white pixel may be, 0 to 255; an image that has only
            such pixels counts all of them.
    """

    title = _("Color shift")
    meaning = _("Average distance between the main colors, in Lab units.")
    # Tuned on 300 photos: re-encoded at JPEG quality 60 the median is 0.62; 1 in 10,000 random pairs is below 6.8.
    curve = ((0, 100), (6.8, 70), (11.8, 30), (28, 2), (60, 0.0))
    best, worst = 0.0, 258.7  # from blue to green, the farthest in sRGB
    drawings = {"colors": _("Which color becomes which")}

    def __init__(self, colors: int = 6, white_tolerance: int = 12) -> None:
        if not 1 <= colors <= 64:
            raise ValueError("colors must be from 1 to 64")
        self.colors = colors
        self.white_tolerance = white_tolerance

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Move one palette to the other; the result's artifacts are the ColorFlow."""
        import numpy as np

        (first, supply), (second, demand) = (
            image.cached((EmdColor, self.colors, self.white_tolerance), partial(self._palette, image))
            for image in (a, b)
        )
        cost = np.linalg.norm(first[:, None] - second, axis=2)
        amounts = solve_transport(cost, supply, demand)
        flow = ColorFlow(_lab_to_rgb(first), _lab_to_rgb(second), amounts)
        order = np.unravel_index(np.argsort(-amounts, axis=None, kind="stable"), amounts.shape)
        details = [
            {"from": _to_hex(flow.a[i]), "to": _to_hex(flow.b[j]), "share": share}
            for i, j in zip(*order, strict=True)
            if (share := round(100 * float(amounts[i, j]), 1))
        ]
        return MeasureResult(float((amounts * cost).sum()), {"flow": details}, flow)

    def _palette(self, image: ComparisonImage) -> tuple[Numbers, Numbers]:
        colors, weights = extract_palette(image.pixels, self.colors, self.white_tolerance)
        weights = weights.astype(float)
        return colors.astype(float), weights / weights.sum()

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, result: MeasureResult) -> Pixels:
        """Draw bands between the main colors of both images."""
        from .drawing.flows import draw_color_flow

        flow = result.artifacts
        return draw_color_flow((a.pixels, b.pixels), (flow.a, flow.b), flow.amounts)


class EmdGray(EarthMoversDistance):
    """Earth mover's distance of the darkness in two images, each of sum 1: 0 to 1.

    Each image is a grid of 16 x 16, whatever its shape; distances are shares of the grid's diagonal. Darkness is moved
    rather than light because objects are dark on white paper: on furniture the distance then separates another image of
    the same piece from one of another piece in 93 of 100 cases, and by light in 68. The overall brightness of an image
    does not count, and a blank one is equally dark everywhere.
    """

    title = _("Brightness shift")
    meaning = _("Average distance that dark areas have to move, as a share of the diagonal.")
    best, worst = 0.0, 1.0
    # Tuned on 300 photos: re-encoded at JPEG quality 60 the median is 0.0001; the least of 1,500 random pairs is 0.008.
    curve = ((0, 100), (0.008, 70), (0.0163, 30), (0.05, 2), (0.25, 0.0))
    drawings = {"gray-flow": _("Where dark areas move")}

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Move one grid to the other; the result's artifacts are the amounts between all cells, (256, 256)."""
        import numpy as np

        first, second = (image.cached(EmdGray, partial(_darkness_shares, image)) for image in (a, b))
        # Mass common to both is removed first: for a metric cost that does not change the optimum, and halves the work.
        common = np.minimum(first, second)
        amounts = solve_transport(_cell_distances(), first - common, second - common)
        work = amounts * _cell_distances()
        details = {"moved": round(100 * float(amounts.sum()), 1), "moves": _largest_moves(amounts, work)}
        return MeasureResult(float(work.sum()), details, amounts + np.diag(common))

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, result: MeasureResult) -> Pixels:
        """Draw the largest moves as arrows."""
        from .drawing.flows import draw_moves

        return draw_moves(a.pixels, b.pixels, result.details["moves"])


def _darkness_shares(image: ComparisonImage) -> Numbers:
    """Return the darkness of each of 256 cells, from 1 to 256, divided by their sum."""
    import cv2
    import numpy as np

    cells = cv2.resize(255 - image.gray, (GRID, GRID), interpolation=cv2.INTER_AREA).ravel()
    darkness = cells.astype(np.float64) + 1
    shares: Numbers = darkness / darkness.sum()
    return shares


@cache
def _cell_distances() -> Numbers:
    """Return the distances between all cells, (256, 256), as shares of the diagonal."""
    import numpy as np

    cells = np.indices((GRID, GRID)).reshape(2, -1).T / ((GRID - 1) * np.sqrt(2))
    distances: Numbers = np.linalg.norm(cells[:, None] - cells, axis=2)
    return distances


def _largest_moves(amounts: Numbers, work: Numbers) -> list[dict[str, Any]]:
    """Return the moves of the most work between regions.

    Each has its mean start and end, x and y in fractions of the sides, and its share of the darkness in percent.
    """
    import numpy as np

    row, column = np.indices((GRID, GRID)).reshape(2, -1)
    region = (row * REGIONS // GRID) * REGIONS + column * REGIONS // GRID
    membership = (region[:, None] == np.arange(REGIONS**2)).astype(float)
    shares, works = (membership.T @ cells @ membership for cells in (amounts, work))
    moves = []
    for start, end in zip(*np.unravel_index(np.argsort(-works, axis=None)[:MAX_MOVES], works.shape), strict=True):
        moved = amounts * np.outer(membership[:, start], membership[:, end])
        if (percent := round(100 * float(shares[start, end]), 1)) > 0:
            centers = {
                key: [round(float((axis + 0.5) @ mass / mass.sum() / GRID), 3) for axis in (column, row)]
                for key, mass in (("from", moved.sum(axis=1)), ("to", moved.sum(axis=0)))
            }
            moves.append({**centers, "share": percent})
    return moves


def _lab_to_rgb(lab: Numbers) -> Pixels:
    import cv2
    import numpy as np

    rgb = cv2.cvtColor(lab[None].astype(np.float32), cv2.COLOR_LAB2RGB)[0]
    return np.asarray(np.clip(np.rint(rgb * 255), 0, 255), np.uint8)


def _to_hex(color: Pixels) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
