"""Motion between two images, compared with known motions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut, chelsea

from similar_images import measures
from similar_images.measures.base import ComparisonImage
from similar_images.measures.motion import BlockMotion
from tests.measures.contract import MeasureContract


def warped(zoom: float = 1, turn: float = 0, stretch: float = 1) -> NDArray[np.uint8]:
    """A photo zoomed, turned counterclockwise, then stretched to its sides, all about its center."""
    height, width = chelsea().shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), turn, zoom)
    matrix[0] = stretch * matrix[0] + [0, 0, (1 - stretch) * (width - 1) / 2]
    return cv2.warpAffine(chelsea(), matrix, (width, height), flags=cv2.INTER_CUBIC)


def shifted(x: int, y: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cut two views of 160 × 120 pixels out of a photo, the second shifted by x and y."""
    photo = cv2.resize(chelsea(), (240, 160), interpolation=cv2.INTER_AREA)
    return photo[20:140, 40:200], photo[20 - y : 140 - y, 40 - x : 200 - x]


class TestBlockMotion(MeasureContract):
    name = "block-motion"

    def test_shift__lowers_the_difference(self, measure: measures.Measure) -> None:
        result = measure.measure(*shifted(8, -5))
        assert result.value < result.details["plain_difference"] / 3
        assert result.details["motion"] == pytest.approx(100 * np.hypot(8, 5) / 160, rel=0.15)

    def test_motion_cost__grows_where_blocks_move_apart(self, measure: measures.Measure) -> None:
        together, apart = measure.measure(*shifted(8, -5)), measure.measure(chelsea(), astronaut())
        assert apart.details["motion_cost"] > 5 * together.details["motion_cost"]
        assert apart.value > 5 * together.value

    def test_blocks__equal_opencvs_template_matching(self) -> None:
        gray = [cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for pixels in shifted(6, 3)]
        _residual, motion = BlockMotion()._compensate(*gray)
        for row, column in ((4, 4), (6, 9), (8, 12)):
            x, y = 8 * column, 8 * row
            found = cv2.matchTemplate(gray[1], gray[0][y : y + 16, x : x + 16], cv2.TM_SQDIFF)
            assert cv2.minMaxLoc(found)[2] == (x + motion[row, column, 0], y + motion[row, column, 1]) == (x + 6, y + 3)

    def test_blocks__cover_sides_that_are_no_multiple_of_the_step(self) -> None:
        assert BlockMotion()._block_offsets(37) == [0, 8, 16, 21]
        assert BlockMotion()._block_offsets(32) == [0, 8, 16]


class TestAffineMotion(MeasureContract):
    name = "affine-motion"
    is_symmetric = False  # the second is warped onto the first, and only the overlap counts

    @pytest.mark.parametrize(
        ("zoom", "turn", "stretch"),
        [(1.2, 0, 1), (1, 5, 1), (1.2, 5, 1), (1.2, -5, 1), (0.8, 3, 1), (1, 20, 1), (1, 0, 1.15)],
    )
    def test_known_motion__is_recovered(
        self, measure: measures.Measure, zoom: float, turn: float, stretch: float
    ) -> None:
        result = measure.measure(chelsea(), warped(zoom, turn, stretch))
        details = result.details
        assert details["found"]
        assert details["zoom"] == pytest.approx(zoom * stretch**0.5, rel=0.005)
        assert details["turn"] == pytest.approx(turn, rel=0.02, abs=0.05)
        assert details["stretch"] == pytest.approx(stretch, rel=0.005)
        assert details["shift"] == pytest.approx([0, 0], abs=0.2)
        assert result.value < details["plain_difference"] / 3

    def test_shift_and_size(self, measure: measures.Measure) -> None:
        a, b = shifted(16, -8)
        details = measure.measure(a, cv2.resize(b, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)).details
        assert details["zoom"] == pytest.approx(1, abs=0.005)
        assert details["shift"] == pytest.approx([10, -5], abs=0.2)
        assert details["motion_cost"] == pytest.approx(np.hypot(10, 5), rel=0.02)
        assert details["overlap"] == pytest.approx(0.9 * 112 / 120, abs=0.02)

    def test_part_in_other_proportions__is_not_stretched(self, measure: measures.Measure) -> None:
        details = measure.measure(chelsea(), chelsea()[20:280, 100:380]).details
        assert details["stretch"] == pytest.approx(1, abs=0.01)
        assert details["zoom"] == pytest.approx(451 / 280, rel=0.01)

    @pytest.mark.parametrize("other", [astronaut(), np.zeros((40, 60, 3), np.uint8), chelsea()[:, ::-1]])
    def test_no_motion_is_no_error(self, measure: measures.Measure, other: NDArray[np.uint8]) -> None:
        result = measure.measure(chelsea(), other)
        assert not result.details["found"]
        assert result.value == result.details["plain_difference"]


class TestOpticalFlow(MeasureContract):
    name = "optical-flow"

    def test_shift__lowers_the_difference(self, measure: measures.Measure) -> None:
        result = measure.measure(*shifted(8, -5))
        assert result.value < result.details["plain_difference"] / 3
        assert np.median(result.artifacts, (0, 1)) == pytest.approx([8, -5], abs=0.3)
        assert result.details["motion"] == pytest.approx(100 * np.hypot(8, 5) / 160, rel=0.15)

    def test_motion_cost__grows_where_points_move_apart(self, measure: measures.Measure) -> None:
        together, apart = measure.measure(*shifted(8, -5)), measure.measure(chelsea(), astronaut())
        assert apart.details["motion_cost"] > 2 * together.details["motion_cost"]

    def test_drawing__has_arrows_only_where_something_moves(self, measure: measures.Measure) -> None:
        still, (a, b) = ComparisonImage(chelsea()), map(ComparisonImage, shifted(8, -5))
        untouched = measure.draw("flow", still, still, measure.measure(still, still))
        moved = measure.draw("flow", a, b, measure.measure(a, b))
        calm = measure.draw("flow", a, a, measure.measure(a, a))
        assert (untouched[:, :480] == untouched[:, -480:]).all()
        assert (calm[:, :480] != moved[:, :480]).any(2).mean() > 0.02
        assert (calm[:, 480 : 480 + 12] == moved[:, 480 : 480 + 12]).all()
