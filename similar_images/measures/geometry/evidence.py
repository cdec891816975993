"""Evidence that one registered image was made from the other: structure that agrees, and differences that do not.

Structure is looked at by what edits leave alone: windows correlate whatever was done to brightness and contrast, and
the orientation of edges is the same in any colors. What an edit of the whole image does not explain lies in regions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .agreement import brightest_channel
from .shared_frame import SharedFrame

if TYPE_CHECKING:
    from ..base import Pixels

    Channel = NDArray[np.float32]
    Mask = NDArray[np.bool_]

FINE, COARSE = (0.8, 11), (1.8, 15)
"""The scales that are looked at: sigma of the blur and side of the windows, in pixels."""

MIN_VARIANCE = 9.0
"""Variance in a window, of levels from 0 to 255, above which it shows something."""

STRONG_VARIANCE = 100.0
"""Variance above which it shows something that no compression takes away."""

PLAIN_VARIANCE = 4.0
"""Variance below which it is plain."""

NOISE = 4.0
"""Variance that correlations discount, so that noise on plain ground is no disagreement."""

UNEXPLAINED_LEVELS = 24
"""Mean difference of a pixel's colors, 0 to 255, that the best edit of the whole image leaves unexplained."""

MIN_OTHER_REGION, MIN_OTHER_DETAIL, MIN_OTHER_COLORS = 0.003, 0.002, 0.06
"""Shares of regions from which on something else is there. Of photos with stickers, words or watermarks 86% are told
so, and 4% of those that were edited as a whole."""

BACKGROUND_EDGE = 9
"""Pixels along the edge of a frame whose median is the color of the background."""

BACKGROUND_RANGE = 8
"""Levels by which the channels of the background may differ from that."""

MIN_BACKGROUND = 0.05
"""Share of the background below which nothing is said of it."""

SAMPLED_PIXELS = 4_000
"""Pixels that the edit of the colors is estimated from, at most."""


class FrameEvidence(NamedTuple):
    """Evidence from the frame that two images share; shares are 0 to 1.

    Attributes:
        detail: share of the pixels around which either image shows something.
        plain: share around which neither does.
        edge_agreement: agreement of the orientation of edges, weighted by their strength, -1 to 1.
        differing_region: share of the largest region whose structure differs.
        differing_detail: share of the largest region whose strong fine detail differs at both scales.
        imbalance: logarithm of the ratio of the contrasts where the structure differs: large where one image is plain
            there, as below a text that was laid over it.
        color_difference: difference of the colors that one pixel in 20 exceeds, 0 to 255.
        color_residual: the same after the linear edit of all colors that fits best.
        unexplained_region: share of the largest region whose colors that edit leaves unexplained.
        content_difference: mean difference of the colors, 0 to 255, but on a background that both have.
        background_difference: the same on that background: 0 where a thing was painted, and its background was not.
    """

    detail: float
    plain: float
    edge_agreement: float
    differing_region: float
    differing_detail: float
    imbalance: float
    color_difference: float
    color_residual: float
    unexplained_region: float
    content_difference: float
    background_difference: float

    @property
    def is_retouched(self) -> bool:
        """True if a region differs by more than compression, blur, noise and edits of the whole image leave."""
        is_other = self.differing_region > MIN_OTHER_REGION and self.differing_detail > MIN_OTHER_DETAIL
        return is_other or max(self.differing_region / 3, self.unexplained_region) > MIN_OTHER_COLORS


class _Windows(NamedTuple):
    """The correlation around each pixel, and the variance there in each image: (height, width)."""

    correlation: Channel
    variance_a: Channel
    variance_b: Channel

    def shows_something(self, shared: Mask) -> Mask:
        """Return where either image shows something, of what they share."""
        return shared & ((self.variance_a > MIN_VARIANCE) | (self.variance_b > MIN_VARIANCE))


def examine_frame(frame: SharedFrame, *, is_inverted: bool = False) -> FrameEvidence:
    """Compare two images in the frame that they share; one may be the negative of the other."""
    a, b, shared = frame = _without_negative(frame, is_inverted)
    channels = _comparable_channels(a, b)
    coarse, channel = max(
        ((_correlate_windows(*pair, COARSE), pair) for pair in channels),
        key=lambda found: _share_of_matches(found[0], shared),
    )
    fine = _correlate_windows(*channel, FINE)
    edges_fine, weights = _compare_edges(a, b, FINE)
    edges_coarse, _weights = _compare_edges(a, b, COARSE)

    area = float(shared.sum())
    something = coarse.shows_something(shared)
    differs = something & (coarse.correlation < 0.4) & (edges_coarse < 0.5)
    strong = shared & (np.maximum(fine.variance_a, fine.variance_b) > STRONG_VARIANCE)
    detail_differs = strong & (fine.correlation < 0.5) & (edges_fine < 0.5) & (coarse.correlation < 0.75)
    imbalance = 0.0
    if differs.any():
        contrasts = (float(variance[differs].mean()) + NOISE for variance in (coarse.variance_a, coarse.variance_b))
        imbalance = abs(float(np.subtract(*np.log(list(contrasts)))))
    is_plain = shared & (coarse.variance_a < PLAIN_VARIANCE) & (coarse.variance_b < PLAIN_VARIANCE)
    has_edges = shared & (weights > 0)
    return FrameEvidence(
        detail=float(fine.shows_something(shared).sum()) / area,
        plain=float(is_plain.sum()) / area,
        edge_agreement=float(np.average(edges_fine[has_edges], weights=weights[has_edges])) if has_edges.any() else 0.0,
        differing_region=_largest_region(_open(differs)) / area,
        differing_detail=_largest_region(detail_differs) / area,
        imbalance=imbalance,
        **_explain_colors(frame),
    )


def rough_agreement(frame: SharedFrame, *, is_inverted: bool = False) -> float:
    """Return how well two images agree in a small frame, 0 to 1: the mean of windows and edges that do."""
    a, b, shared = _without_negative(frame, is_inverted)
    channels = _comparable_channels(a, b)
    windows = max(_share_of_matches(_correlate_windows(*pair, COARSE), shared) for pair in channels)
    agreement, strength = _compare_edges(a, b, COARSE)
    has_edges = shared & (strength > 0)
    return (windows + (float((agreement[has_edges] > 0.7).mean()) if has_edges.any() else 0.0)) / 2


def _without_negative(frame: SharedFrame, is_inverted: bool) -> SharedFrame:
    return frame._replace(b=255 - frame.b) if is_inverted else frame


def _comparable_channels(a: Pixels, b: Pixels) -> list[tuple[Channel, Channel]]:
    """Return the gray levels of both, and their brightest channels: an edit may leave only one of them alone."""
    gray = (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) for pixels in (a, b))
    brightest = (brightest_channel(pixels).astype(np.float32) for pixels in (a, b))
    return [(next(pair), next(pair)) for pair in (gray, brightest)]


def _correlate_windows(a: Channel, b: Channel, scale: tuple[float, int]) -> _Windows:
    sigma, side = scale
    first, second = (cv2.GaussianBlur(channel, (0, 0), sigma) for channel in (a, b))
    means = _mean(first, side), _mean(second, side)
    variances = [
        np.maximum(_mean(values * values, side) - mean * mean, 0)
        for values, mean in zip((first, second), means, strict=True)
    ]
    covariance = _mean(first * second, side) - means[0] * means[1]
    correlation = covariance / np.sqrt(variances[0] * variances[1] + NOISE)
    return _Windows(*(np.asarray(values, np.float32) for values in (correlation, *variances)))


def _share_of_matches(windows: _Windows, shared: Mask) -> float:
    something = windows.shows_something(shared)
    return float((windows.correlation[something] > 0.6).mean()) if something.any() else 0.0


def _compare_edges(a: Pixels, b: Pixels, scale: tuple[float, int]) -> tuple[Channel, Channel]:
    """Return how far orientations of edges agree around each pixel, and how strong they are; 0 where there are none.

    Orientations are those of the structure tensor of all channels (Di Zenzo, "A note on the gradient of a multi-image",
    1986): without a sign, so that they are the same in a negative, and between colors of the same brightness.
    """
    sigma, side = scale
    (x_a, y_a), (x_b, y_b) = (_edge_orientations(pixels, sigma) for pixels in (a, b))
    energies = _mean(x_a * x_a + y_a * y_a, side), _mean(x_b * x_b + y_b * y_b, side)
    agreement = _mean(x_a * x_b + y_a * y_b, side) / np.sqrt(energies[0] * energies[1] + 1e-2)
    strength = np.power(energies[0] * energies[1] + 1e-3, 0.25)
    return agreement, np.where(np.maximum(*energies) > 0.6, strength, 0)


def _edge_orientations(pixels: Pixels, sigma: float) -> tuple[Channel, Channel]:
    """Return the orientation of the edge at each pixel as a vector at twice its angle, as long as it is strong."""
    blurred = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), sigma)
    along_x, along_y = (cv2.Sobel(blurred, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    x, y = (along_x**2 - along_y**2).sum(axis=2), (2 * along_x * along_y).sum(axis=2)
    length = np.sqrt(np.sqrt(x * x + y * y) + 1e-9)
    return x / length, y / length


def _mean(values: Any, side: int) -> Channel:
    return np.asarray(cv2.blur(values, (side, side)), np.float32)


def _open(mask: Mask) -> Mask:
    """Return a mask without specks."""
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(bool)


def _largest_region(mask: Mask) -> float:
    """Return the pixels of the largest connected region."""
    count, _labels, stats, _centers = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return float(stats[1:, cv2.CC_STAT_AREA].max()) if count > 1 else 0.0


def _explain_colors(frame: SharedFrame) -> dict[str, float]:
    """Measure the difference of colors, and what is left of it after the best linear edit of one of the two images."""
    smooth = [cv2.GaussianBlur(pixels, (0, 0), 2.0).astype(np.float32) for pixels in (frame.a, frame.b)]
    step = max(1, int(frame.shared.sum()) // SAMPLED_PIXELS)
    colors = [pixels[frame.shared][::step] for pixels in smooth]
    images = [cv2.GaussianBlur(pixels, (0, 0), 1.2).astype(np.float32) for pixels in (frame.a, frame.b)]
    residuals, regions = [], []
    for start, end in ((0, 1), (1, 0)):
        edit = _fit_edit(colors[start], colors[end])
        differences = np.abs(_apply_edit(colors[start], edit) - colors[end]).mean(axis=1)
        residuals.append(float(np.quantile(differences, 0.95)))
        edited = np.clip(_apply_edit(images[start], edit), 0, 255)
        unexplained = frame.shared & (np.abs(edited - images[end]).mean(axis=2) > UNEXPLAINED_LEVELS)
        regions.append(_largest_region(_open(unexplained)) / float(frame.shared.sum()))
    return {
        "color_difference": float(np.quantile(np.abs(colors[0] - colors[1]).mean(axis=1), 0.95)),
        "color_residual": min(residuals),
        "unexplained_region": min(regions),
        **_compare_backgrounds(smooth, frame.shared),
    }


def _compare_backgrounds(smooth: list[Channel], shared: Mask) -> dict[str, float]:
    """Measure the difference of colors on the background, and apart from it; the same number where there is but one."""
    kernel = np.ones((BACKGROUND_EDGE, BACKGROUND_EDGE), np.uint8)
    inner = cv2.erode(shared.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(bool)
    background = shared.copy()
    for pixels in smooth:
        color = np.median(pixels[shared & ~inner], axis=0)
        background &= np.abs(pixels - color).max(axis=2) <= BACKGROUND_RANGE
    differences = np.abs(smooth[0] - smooth[1]).mean(axis=2)
    content = shared & ~background
    has_both = MIN_BACKGROUND <= background.sum() / shared.sum() < 1
    on_content = float(differences[content if content.any() else shared].mean())
    on_background = float(differences[background].mean()) if has_both else on_content
    return {"content_difference": on_content, "background_difference": on_background}


def _fit_edit(start: NDArray[np.float32], end: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the linear map (4, 3) of colors (n, 3), by least squares that count outliers for little (Cauchy)."""
    columns = np.column_stack([start, np.full(len(start), 255, np.float32)])
    weights = np.ones((len(start), 1), np.float32)
    edit = np.zeros((4, 3), np.float32)
    for _repetition in range(3):
        weighted = columns * weights
        ridge = 50 * np.eye(4, dtype=np.float32)
        edit = np.linalg.solve(weighted.T @ columns + ridge, weighted.T @ end).astype(np.float32)
        errors = np.abs(columns @ edit - end).mean(axis=1, keepdims=True)
        weights = 1 / (1 + (errors / (2 * (np.median(errors) + 1))) ** 2)
    return edit


def _apply_edit(colors: NDArray[np.float32], edit: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(colors @ edit[:3] + 255 * edit[3], np.float32)
