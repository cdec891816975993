"""One picture as the other in motion: what is left after its blocks, all of it, or every pixel has moved.

Residuals are mean absolute differences in gray levels, from 0 to 255; motion is in percent of the frame's long side.
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

    Field = NDArray[np.float32]
    Matrix = NDArray[np.float64]


class BlockMotion(Measure):
    """What is left of one picture after the best places of its overlapping blocks are found in the other.

    Overlapped block motion compensation after Orchard, Sullivan, "Overlapped block motion compensation: an
    estimation-theoretic approach" (1994). Both ways, because a plain picture is found in any other.
    """

    title = gettext_lazy("Moved blocks")
    meaning = gettext_lazy("How different the pictures stay, in gray levels, when every block may move a little.")
    best = 0.0
    worst = 255.0
    curve = ((0, 100), (10, 70), (13, 50), (18.5, 30), (35.6, 2), (60, 0))

    LONG_SIDE = 160
    BLOCK = 16
    STEP = 8
    REACH = 24
    """Blocks move at most this many pixels."""
    COST = 0.25
    """A block must look better by this much, in squared gray levels, to move by a pixel more."""

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        pair = register_pair(a, b, self.LONG_SIDE)
        one, other = pair.grays
        residuals, motions = zip(*(self._moved(*grays) for grays in ((one, other), (other, one))), strict=True)
        return MeasureResult(fmean(residuals), _details(pair, motions))

    def _moved(self, picture: Gray, other: Gray) -> tuple[float, NDArray[np.float64]]:
        """What is left of a picture made of the other one's blocks; and the blocks' motion (rows, columns, 2)."""
        import cv2
        import numpy as np

        window = np.outer(*2 * [np.hanning(self.BLOCK + 2)[1:-1]])
        total, weight = np.zeros(picture.shape), np.zeros(picture.shape)
        rows, columns = (self._places(side) for side in picture.shape)
        motion = np.zeros((len(rows), len(columns), 2))
        for place in np.ndindex(len(rows), len(columns)):
            y, x = rows[place[0]], columns[place[1]]
            top, left = max(0, y - self.REACH), max(0, x - self.REACH)
            area = other[top : y + self.BLOCK + self.REACH, left : x + self.BLOCK + self.REACH]
            block = np.s_[y : y + self.BLOCK, x : x + self.BLOCK]
            error = cv2.matchTemplate(area, picture[block], cv2.TM_SQDIFF) / self.BLOCK**2
            dy, dx = np.ogrid[top - y : top - y + error.shape[0], left - x : left - x + error.shape[1]]
            best = np.unravel_index(np.argmin(error + self.COST * np.hypot(dx, dy)), error.shape)
            found = area[best[0] : best[0] + self.BLOCK, best[1] : best[1] + self.BLOCK]
            motion[place] = best[1] + left - x, best[0] + top - y
            total[block] += found * window
            weight[block] += window
        return float(np.abs(total / weight - picture).mean()), motion

    def _places(self, side: int) -> list[int]:
        last = side - self.BLOCK
        return [*range(0, last, self.STEP), last]


class AffineMotion(Measure):
    """What is left after one picture is zoomed, turned, stretched and shifted onto the other.

    Evangelidis, Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization" (2008),
    from coarse to fine; it starts where ORB points agree, or else with the pictures as they are.
    """

    title = gettext_lazy("Zoom, turn and stretch")
    meaning = gettext_lazy("How different the pictures stay, in gray levels, when one is moved onto the other.")
    best = 0.0
    worst = 255.0
    curve = ((0, 100), (18, 70), (25, 50), (35, 30), (74, 2), (110, 0))

    LONG_SIDE = 256
    LEVELS = 3
    STEPS = 50
    POINTS = 500
    FEWEST = 8
    """Points that agree by chance are fewer."""
    LEAST_OVERLAP = 0.2
    LEAST_CORRELATION = 0.7

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        import cv2
        import numpy as np

        pair = register_pair(a, b, self.LONG_SIDE)
        one, other = pair.grays
        plain = _difference(one, other)
        details: dict[str, Any] = {"found": False, "plain_difference": plain}
        matrix = self._motion(one, other)
        if matrix is None:
            return MeasureResult(plain, details)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(other, matrix, pair.size, flags=flags)
        shown = cv2.warpAffine(np.ones_like(other), matrix, pair.size, flags=flags) > 0
        overlap = float(shown.mean())
        if overlap < self.LEAST_OVERLAP:
            return MeasureResult(plain, details)
        residual = _difference(one[shown], np.asarray(moved, np.uint8)[shown])
        if residual >= plain:
            return MeasureResult(plain, details)
        details |= {"found": True, "overlap": overlap, **self._described(matrix, a, b, pair.size)}
        return MeasureResult(residual, details)

    def _motion(self, picture: Gray, other: Gray) -> Matrix | None:
        """The matrix (2, 3) that takes pixels of the picture to those of the other; None, where none is found."""
        import cv2
        import numpy as np

        matrix = np.vstack([self._start(picture, other), [0, 0, 1]])
        correlation = 0.0
        try:
            everywhere = np.ones_like(other)
            for level in reversed(range(self.LEVELS)):
                correlation, matrix = self._refined(picture, other, matrix, level, everywhere)
            moved = cv2.warpPerspective(picture, matrix, other.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
            mask = self._agreeing(other, np.asarray(moved, np.uint8))
            _correlation, matrix = self._refined(picture, other, matrix, 0, mask)
        except cv2.error:  # nothing to go by, or no end in sight
            return None
        found = correlation >= self.LEAST_CORRELATION and np.linalg.det(matrix) > 0
        return matrix[:2] if found else None

    def _refined(self, picture: Gray, other: Gray, matrix: Matrix, level: int, mask: Gray) -> tuple[float, Matrix]:
        """The correlation and the matrix (3, 3) to which a matrix leads, looked at with sides halved `level` times."""
        import cv2
        import numpy as np

        size = [max(8, side >> level) for side in reversed(picture.shape)]
        one, two, mask = (
            np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)
            for gray in (picture, other, mask)
        )
        to = np.diag([size[0] / picture.shape[1], size[1] / picture.shape[0], 1])
        start = (to @ matrix @ np.linalg.inv(to))[:2].astype(np.float32)
        criteria = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, self.STEPS, 1e-5
        correlation, end = cv2.findTransformECC(one, two, start, cv2.MOTION_AFFINE, criteria, mask, 5)
        return correlation, np.linalg.inv(to) @ np.vstack([end, [0, 0, 1]]) @ to

    @staticmethod
    def _agreeing(picture: Gray, moved: Gray) -> Gray:
        """1 where two pictures agree; what lies over one, or fills its corners, would pull at the motion."""
        import cv2
        import numpy as np

        error = cv2.GaussianBlur(picture.astype(np.float32) - moved, (5, 5), 0)
        error = np.abs(error - np.median(error))
        agreeing = (error <= max(20, 4 * np.median(error))).astype(np.uint8)
        return np.asarray(cv2.erode(agreeing, np.ones((9, 9), np.uint8)), np.uint8)

    def _start(self, picture: Gray, other: Gray) -> Matrix:
        import cv2
        import numpy as np

        still = np.eye(2, 3)
        orb = cv2.ORB.create(self.POINTS, fastThreshold=10)
        (points, words), (others, other_words) = (orb.detectAndCompute(gray, None) for gray in (picture, other))
        if words is None or other_words is None:
            return still
        matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(words, other_words)
        if len(matches) < self.FEWEST:
            return still
        start = np.array([points[match.queryIdx].pt for match in matches])
        end = np.array([others[match.trainIdx].pt for match in matches])
        matrix, agree = cv2.estimateAffinePartial2D(start, end, ransacReprojThreshold=3)
        return np.asarray(matrix) if matrix is not None and agree.sum() >= self.FEWEST else still

    @staticmethod
    def _described(matrix: Matrix, a: ComparisonImage, b: ComparisonImage, size: tuple[int, int]) -> dict[str, Any]:
        """The motion in words of both pictures at the same long side, each in its own proportions."""
        import numpy as np

        units = [np.array([view.width, view.height]) / max(view.width, view.height) / size for view in (a, b)]
        left, (large, small), right = np.linalg.svd(units[1][:, None] * matrix[:, :2] / units[0])
        turn = left @ right
        center = (np.array(size) - 1) / 2
        shift = (matrix[:, :2] @ center + matrix[:, 2] - center) * units[1]
        corners = np.array([[0, 0], [size[0], 0], [0, size[1]], list(size)])
        moves = (corners @ matrix[:, :2].T + matrix[:, 2] - corners) * units[1]
        return {
            "zoom": float(np.sqrt(large * small)),
            "turn": degrees(atan2(turn[0, 1], turn[0, 0])),
            "stretch": float(large / small),
            "shift": (100 * shift).tolist(),
            "motion_cost": float(100 * np.hypot(*moves.T).mean()),
        }


class OpticalFlow(Measure):
    """What is left after every pixel of one picture has moved to where it seems to be in the other.

    Kroeger, Timofte, Dai, Van Gool, "Fast optical flow using dense inverse search" (2016). Both ways.
    """

    title = gettext_lazy("Optical flow")
    meaning = gettext_lazy("How different the pictures stay, in gray levels, when every pixel may move.")
    best = 0.0
    worst = 255.0
    curve = ((0, 100), (13, 70), (20, 50), (30, 30), (63, 2), (100, 0))
    drawings = {"flow": gettext_lazy("Where the points of the first picture are in the second")}

    LONG_SIDE = 256

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        pair = register_pair(a, b, self.LONG_SIDE)
        one, other = pair.grays
        flows = [_flow(one, other), _flow(other, one)]
        residuals = [_difference(one, _moved(other, flows[0])), _difference(other, _moved(one, flows[1]))]
        return MeasureResult(fmean(residuals), _details(pair, flows), flows[0])

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, reading: MeasureResult) -> Pixels:
        import cv2
        import numpy as np

        from .drawing import canvas

        picture = canvas.fit_into(a.pixels).copy()
        flow = reading.evidence
        scale = np.array(picture.shape[1::-1]) / flow.shape[1::-1]
        step = max(flow.shape) / 16
        for y in np.arange(step / 2, flow.shape[0], step):
            for x in np.arange(step / 2, flow.shape[1], step):
                start, move = np.array([x, y]) * scale, flow[int(y), int(x)] * scale
                if np.hypot(*move) >= 2:
                    tail, tip = ([round(part) for part in point.tolist()] for point in (start, start + move))
                    cv2.arrowedLine(picture, tail, tip, canvas.GROUND, 4, cv2.LINE_AA, tipLength=0.3)
                    cv2.arrowedLine(picture, tail, tip, canvas.BAD, 2, cv2.LINE_AA, tipLength=0.3)
        return canvas.place_side_by_side(picture, b.pixels)[0]


def _flow(picture: Gray, other: Gray) -> Field:
    """Where every pixel of a picture is in the other one, from where it is itself: (height, width, 2)."""
    import cv2
    import numpy as np

    # A new one every time: what one has calculated shows in what it calculates next.
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(dis.calc(picture, other, np.zeros((*picture.shape, 2), np.float32)), np.float32)


def _moved(other: Gray, flow: Field) -> Gray:
    """The picture as it would be, taken from the other one after the flow."""
    import cv2
    import numpy as np

    height, width = other.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    places = x + flow[..., 0], y + flow[..., 1]
    return np.asarray(cv2.remap(other, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _details(pair: RegisteredPair, motions: Sequence[NDArray[np.floating]]) -> dict[str, Any]:
    """How different the pictures are unmoved, how far each part (rows, columns, 2) moves, and how unlike its neighbors.

    The latter two are in percent of the long side, the mean of both ways.
    """
    import numpy as np

    percent = 100 / max(pair.size)
    rough = np.mean([np.abs(np.diff(motion, axis=axis)).sum(2).mean() for motion in motions for axis in (0, 1)])
    return {
        "plain_difference": _difference(*pair.grays),
        "motion": float(np.mean([np.hypot(*np.moveaxis(motion, 2, 0)).mean() for motion in motions])) * percent,
        "motion_cost": float(rough) * percent,
    }


def _difference(a: Gray, b: Gray) -> float:
    """The mean absolute difference in gray levels."""
    import numpy as np

    return float(np.abs(a.astype(np.int16) - b).mean())
