"""One image moved onto the other: the difference left after its blocks, all of it, or every pixel has moved.

Residuals are mean absolute differences in gray levels, 0 to 255; motion is in percent of the frame's long side.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, degrees
from statistics import fmean
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy

from .base import ComparisonImage, Measure, MeasureResult
from .geometry.registered_pair import RegisteredPair, register_pair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .base import Gray, Pixels
    from .geometry.homography import Matrix

    FlowField = NDArray[np.float32]


class BlockMotion(Measure):
    """The residual after each of one image's overlapping blocks moves to its best match in the other.

    Overlapped block motion compensation after Orchard, Sullivan, "Overlapped block motion compensation: an
    estimation-theoretic approach" (1994). The mean of both directions, because a plain image is found in any other.
    """

    title = gettext_lazy("Block motion")
    meaning = gettext_lazy("Difference left after each block moves to its best match, in gray levels.")
    best, worst = 0.0, 255.0
    curve = ((0, 100), (10, 70), (13, 50), (18.5, 30), (35.6, 2), (60, 0))

    LONG_SIDE = 160
    BLOCK = 16
    STEP = 8
    MAX_SHIFT = 24
    """Pixels by which a block may move in each direction."""
    SHIFT_PENALTY = 0.25
    """Mean squared gray levels by which a block must match better to move by one more pixel."""

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Move the blocks in both directions."""
        pair = register_pair(a, b, self.LONG_SIDE)
        first, second = pair.grays
        directions = (first, second), (second, first)
        residuals, motions = zip(*(self._compensate(*direction) for direction in directions), strict=True)
        return MeasureResult(fmean(residuals), _motion_details(pair, motions))

    def _compensate(self, target: Gray, reference: Gray) -> tuple[float, NDArray[np.float64]]:
        """Rebuild the target from the reference's blocks: the residual, and the blocks' motion (rows, columns, 2)."""
        import cv2
        import numpy as np

        window = np.outer(*2 * [np.hanning(self.BLOCK + 2)[1:-1]])
        total, weight = np.zeros(target.shape), np.zeros(target.shape)
        rows, columns = (self._block_offsets(side) for side in target.shape)
        motion = np.zeros((len(rows), len(columns), 2))
        for index in np.ndindex(len(rows), len(columns)):
            y, x = rows[index[0]], columns[index[1]]
            top, left = max(0, y - self.MAX_SHIFT), max(0, x - self.MAX_SHIFT)
            area = reference[top : y + self.BLOCK + self.MAX_SHIFT, left : x + self.BLOCK + self.MAX_SHIFT]
            block = np.s_[y : y + self.BLOCK, x : x + self.BLOCK]
            error = cv2.matchTemplate(area, target[block], cv2.TM_SQDIFF) / self.BLOCK**2
            dy, dx = np.ogrid[top - y : top - y + error.shape[0], left - x : left - x + error.shape[1]]
            row, column = np.unravel_index(np.argmin(error + self.SHIFT_PENALTY * np.hypot(dx, dy)), error.shape)
            motion[index] = column + left - x, row + top - y
            total[block] += area[row : row + self.BLOCK, column : column + self.BLOCK] * window
            weight[block] += window
        return float(np.abs(total / weight - target).mean()), motion

    def _block_offsets(self, side: int) -> list[int]:
        last = side - self.BLOCK
        return [*range(0, last, self.STEP), last]


class AffineMotion(Measure):
    """The residual after one image is zoomed, rotated, stretched and shifted onto the other.

    Evangelidis, Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization" (2008),
    from coarse to fine; it starts from the motion that ORB keypoints agree on, or else from none.
    """

    title = gettext_lazy("Zoom, rotation and stretch")
    meaning = gettext_lazy("Difference left after one image is moved onto the other as a whole, in gray levels.")
    best, worst = 0.0, 255.0
    curve = ((0, 100), (18, 70), (25, 50), (35, 30), (74, 2), (110, 0))

    LONG_SIDE = 256
    LEVELS = 3
    ITERATIONS = 50
    KEYPOINTS = 500
    MIN_MATCHES = 8
    """Matches below which the keypoints may agree by chance."""
    MIN_COVERAGE = 0.2
    MIN_CORRELATION = 0.7

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Estimate the motion; the plain difference is the value if none is found that lowers it."""
        import cv2
        import numpy as np

        pair = register_pair(a, b, self.LONG_SIDE)
        first, second = pair.grays
        plain = _mean_difference(first, second)
        details: dict[str, Any] = {"found": False, "plain_difference": plain}
        matrix = self._estimate_motion(first, second)
        if matrix is None:
            return MeasureResult(plain, details)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(second, matrix, pair.size, flags=flags)
        covered = cv2.warpAffine(np.ones_like(second), matrix, pair.size, flags=flags) > 0
        overlap = float(covered.mean())
        if overlap < self.MIN_COVERAGE:
            return MeasureResult(plain, details)
        residual = _mean_difference(first[covered], np.asarray(warped, np.uint8)[covered])
        if residual >= plain:
            return MeasureResult(plain, details)
        details |= {"found": True, "overlap": overlap, **self._decompose(matrix, a, b, pair.size)}
        return MeasureResult(residual, details)

    def _estimate_motion(self, first: Gray, second: Gray) -> Matrix | None:
        """Return the matrix (2, 3) that takes pixels of the first image to those of the second; None if none fits."""
        import cv2
        import numpy as np

        matrix = np.vstack([self._start_from_keypoints(first, second), [0, 0, 1]])
        correlation = 0.0
        try:
            full_mask = np.ones_like(second)
            for level in reversed(range(self.LEVELS)):
                correlation, matrix = self._refine(first, second, matrix, level, full_mask)
            warped = cv2.warpPerspective(first, matrix, second.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
            mask = self._agreeing_mask(second, np.asarray(warped, np.uint8))
            _correlation, matrix = self._refine(first, second, matrix, 0, mask)
        except cv2.error:  # no texture, or no convergence
            return None
        is_found = correlation >= self.MIN_CORRELATION and np.linalg.det(matrix) > 0
        return matrix[:2] if is_found else None

    def _refine(self, first: Gray, second: Gray, matrix: Matrix, level: int, mask: Gray) -> tuple[float, Matrix]:
        """Refine a matrix (3, 3) on images with sides halved `level` times; return the correlation, too."""
        import cv2
        import numpy as np

        size = [max(8, side >> level) for side in reversed(first.shape)]
        small_first, small_second, small_mask = (
            np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8) for gray in (first, second, mask)
        )
        to_small = np.diag([size[0] / first.shape[1], size[1] / first.shape[0], 1])
        start = (to_small @ matrix @ np.linalg.inv(to_small))[:2].astype(np.float32)
        criteria = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, self.ITERATIONS, 1e-5
        correlation, estimate = cv2.findTransformECC(
            small_first, small_second, start, cv2.MOTION_AFFINE, criteria, small_mask, 5
        )
        return correlation, np.linalg.inv(to_small) @ np.vstack([estimate, [0, 0, 1]]) @ to_small

    @staticmethod
    def _agreeing_mask(first: Gray, warped: Gray) -> Gray:
        """Return 1 where two images agree; an overlay on one, or its filled corners, would distort the motion."""
        import cv2
        import numpy as np

        error = cv2.GaussianBlur(first.astype(np.float32) - warped, (5, 5), 0)
        error = np.abs(error - np.median(error))
        agreeing = (error <= max(20, 4 * np.median(error))).astype(np.uint8)
        return np.asarray(cv2.erode(agreeing, np.ones((9, 9), np.uint8)), np.uint8)

    def _start_from_keypoints(self, first: Gray, second: Gray) -> Matrix:
        import cv2
        import numpy as np

        identity = np.eye(2, 3)
        orb = cv2.ORB.create(self.KEYPOINTS, fastThreshold=10)
        (keypoints, descriptors), (targets, target_descriptors) = (
            orb.detectAndCompute(gray, None) for gray in (first, second)
        )
        if descriptors is None or target_descriptors is None:
            return identity
        matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(descriptors, target_descriptors)
        if len(matches) < self.MIN_MATCHES:
            return identity
        start = np.array([keypoints[match.queryIdx].pt for match in matches])
        end = np.array([targets[match.trainIdx].pt for match in matches])
        matrix, inliers = cv2.estimateAffinePartial2D(start, end, ransacReprojThreshold=3)
        return np.asarray(matrix) if matrix is not None and inliers.sum() >= self.MIN_MATCHES else identity

    @staticmethod
    def _decompose(matrix: Matrix, a: ComparisonImage, b: ComparisonImage, size: tuple[int, int]) -> dict[str, Any]:
        """Return zoom, turn and so on of both images at the same long side, each in its own proportions."""
        import numpy as np

        units = [np.array([image.width, image.height]) / max(image.width, image.height) / size for image in (a, b)]
        left, (large, small), right = np.linalg.svd(units[1][:, None] * matrix[:, :2] / units[0])
        rotation = left @ right
        center = (np.array(size) - 1) / 2
        shift = (matrix[:, :2] @ center + matrix[:, 2] - center) * units[1]
        corners = np.array([[0, 0], [size[0], 0], [0, size[1]], list(size)])
        corner_moves = (corners @ matrix[:, :2].T + matrix[:, 2] - corners) * units[1]
        return {
            "zoom": float(np.sqrt(large * small)),
            "turn": degrees(atan2(rotation[0, 1], rotation[0, 0])),
            "stretch": float(large / small),
            "shift": (100 * shift).tolist(),
            "motion_cost": float(100 * np.hypot(*corner_moves.T).mean()),
        }


class OpticalFlow(Measure):
    """The residual after every pixel of one image moves to its match in the other.

    Kroeger, Timofte, Dai, Van Gool, "Fast optical flow using dense inverse search" (2016). The mean of both directions.
    """

    title = gettext_lazy("Optical flow")
    meaning = gettext_lazy("Difference left after every pixel moves to its best match, in gray levels.")
    best, worst = 0.0, 255.0
    curve = ((0, 100), (13, 70), (20, 50), (30, 30), (63, 2), (100, 0))
    drawings = {"flow": gettext_lazy("Where each point of the first image moves")}

    LONG_SIDE = 256

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Move the pixels in both directions; the result's artifacts are the flow from a to b, (height, width, 2)."""
        pair = register_pair(a, b, self.LONG_SIDE)
        first, second = pair.grays
        flows = [_dense_flow(first, second), _dense_flow(second, first)]
        residuals = [
            _mean_difference(target, _warp_by_flow(reference, flow))
            for target, reference, flow in zip((first, second), (second, first), flows, strict=True)
        ]
        return MeasureResult(fmean(residuals), _motion_details(pair, flows), flows[0])

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, result: MeasureResult) -> Pixels:
        """Draw the flow as arrows over the first image."""
        from .drawing.flows import draw_optical_flow

        return draw_optical_flow(a.pixels, b.pixels, result.artifacts)


def _dense_flow(first: Gray, second: Gray) -> FlowField:
    """Return how far each pixel of the first image moves to its match in the second: (height, width, 2)."""
    import cv2
    import numpy as np

    # DISOpticalFlow keeps state between calls; a new instance makes results reproducible.
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(dis.calc(first, second, np.zeros((*first.shape, 2), np.float32)), np.float32)


def _warp_by_flow(reference: Gray, flow: FlowField) -> Gray:
    import cv2
    import numpy as np

    height, width = reference.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    maps = x + flow[..., 0], y + flow[..., 1]
    return np.asarray(cv2.remap(reference, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _motion_details(pair: RegisteredPair, motions: Sequence[NDArray[np.floating]]) -> dict[str, Any]:
    """Return the difference of the unmoved images, the mean motion, and how much neighbors differ in it.

    Motions are (rows, columns, 2). The latter two figures are in percent of the long side, the mean of both directions.
    """
    import numpy as np

    percent = 100 / max(pair.size)
    roughness = np.mean([np.abs(np.diff(motion, axis=axis)).sum(2).mean() for motion in motions for axis in (0, 1)])
    return {
        "plain_difference": _mean_difference(*pair.grays),
        "motion": float(np.mean([np.hypot(*np.moveaxis(motion, 2, 0)).mean() for motion in motions])) * percent,
        "motion_cost": float(roughness) * percent,
    }


def _mean_difference(a: Gray, b: Gray) -> float:
    import numpy as np

    return float(np.abs(a.astype(np.int16) - b).mean())
