"""Earth mover's distances, against the linear program."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog

from similar_images import plugins
from similar_images.measures.base import ComparisonImage
from similar_images.measures.transport import EmdColor, solve_transport
from similar_images.signatures.palette import extract_palette

from .contract import MeasureContract
from .contract import draw as drawn

WHITE = np.full((60, 80, 3), 255, np.uint8)


class TestEmdColor(MeasureContract):
    name = "emd-color"


class TestEmdGray(MeasureContract):
    name = "emd-gray"


def optimum(cost: np.ndarray, supply: np.ndarray, demand: np.ndarray) -> float:
    """The least cost by HiGHS. One equation follows from the others."""
    n, m = cost.shape
    rows, columns = sparse.kron(sparse.eye(n), np.ones((1, m))), sparse.kron(np.ones((1, n)), sparse.eye(m))
    equations = sparse.vstack([rows, columns])
    sums = np.concatenate([supply, demand])
    # Below 1e-9, HiGHS takes coefficients for zero: it works in thousands here.
    result = linprog(cost.ravel(), A_eq=equations.tocsr()[:-1], b_eq=1000 * sums[:-1], method="highs")
    assert result.status == 0, result.message
    return float(result.fun) / 1000


def check(cost: np.ndarray, supply: np.ndarray, demand: np.ndarray) -> None:
    flow = solve_transport(cost, supply, demand)
    assert (flow >= -1e-15).all()
    assert flow.sum(axis=1) == pytest.approx(supply, abs=1e-12)
    assert flow.sum(axis=0) == pytest.approx(demand, abs=1e-12)
    assert (flow * cost).sum() == pytest.approx(optimum(cost, supply, demand), abs=1e-6)


def shares(values: list[float] | np.ndarray) -> np.ndarray:
    array = np.array(values, float)
    return array / array.sum()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_solve_transport__is_optimal(data: st.DataObject) -> None:
    """Whole numbers make ties, which is where a simplex method may cycle."""
    n, m = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    weights = st.one_of(st.integers(0, 5), st.floats(1e-9, 1))
    supply, demand = (shares(data.draw(st.lists(weights, min_size=size, max_size=size).filter(any))) for size in (n, m))
    costs = st.one_of(st.integers(0, 4), st.floats(0, 1))
    check(np.array(data.draw(st.lists(costs, min_size=n * m, max_size=n * m)), float).reshape(n, m), supply, demand)


@pytest.mark.parametrize(
    ("supply", "demand"),
    [
        ([1], [1]),
        ([1, 0, 0], [0, 0, 1]),
        ([1, 1, 1, 1], [1, 1, 1, 1]),
        ([1e-12, 1, 1e-9], [1, 1e-12, 1e-7, 3]),
        ([1, 2, 3], [1, 2, 3]),
        ([0, 0, 1], [1, 1, 1, 1, 1]),
    ],
)
def test_solve_transport__degenerate(supply: list[float], demand: list[float]) -> None:
    cost = np.abs(np.subtract.outer(np.arange(len(supply)), np.arange(len(demand)))).astype(float)
    check(cost, shares(supply), shares(demand))
    check(np.zeros_like(cost), shares(supply), shares(demand))


def test_solve_transport__of_nothing() -> None:
    assert not solve_transport(np.ones((2, 3)), np.zeros(2), np.zeros(3)).any()


def test_emd_color__equals_the_linear_program() -> None:
    pictures = skimage.data.chelsea(), skimage.data.coffee()
    result = plugins.load_measure("emd-color", {}).measure(*pictures)
    (a, first), (b, second) = (extract_palette(p, 6) for p in (ComparisonImage(p).pixels for p in pictures))
    first, second = shares(first), shares(second)
    cost = np.linalg.norm(a[:, None].astype(float) - b, axis=2)
    assert result.value == pytest.approx(optimum(cost, first, second), abs=1e-6)
    assert result.artifacts.amounts.sum(axis=1) == pytest.approx(first, abs=1e-12)
    assert result.artifacts.amounts.sum(axis=0) == pytest.approx(second, abs=1e-12)


def test_emd_gray__equals_the_linear_program() -> None:
    """Solve for the whole grids, including the mass that both have in common."""
    pictures = skimage.data.chelsea(), skimage.data.coffee()
    result = plugins.load_measure("emd-gray", {}).measure(*pictures)
    x, y = np.meshgrid(np.arange(16), np.arange(16))
    cost = np.hypot(np.subtract.outer(x.ravel(), x.ravel()), np.subtract.outer(y.ravel(), y.ravel())) / np.hypot(15, 15)
    dark = []
    for picture in pictures:
        gray = cv2.cvtColor(ComparisonImage(picture).pixels, cv2.COLOR_RGB2GRAY)
        dark.append(shares(256.0 - cv2.resize(gray, (16, 16), interpolation=cv2.INTER_AREA).ravel()))
    assert result.value == pytest.approx(optimum(cost, *dark), abs=1e-6)
    assert result.artifacts.sum(axis=1) == pytest.approx(dark[0], abs=1e-12)
    assert result.artifacts.sum(axis=0) == pytest.approx(dark[1], abs=1e-12)


def test_emd_color__reports_which_color_becomes_which() -> None:
    a, b = np.zeros((2, 40, 40, 3), np.uint8)
    a[:], a[:10] = (200, 0, 0), (0, 0, 200)
    b[:], b[:10] = (210, 10, 0), (0, 10, 210)
    flow = plugins.load_measure("emd-color", {}).measure(a, b).details["flow"]
    assert flow == [
        {"from": "#c80000", "to": "#d20a00", "share": 75.0},
        {"from": "#0000c8", "to": "#000ad2", "share": 25.0},
    ]


def test_emd_color__a_small_change_of_hue_costs_less() -> None:
    measure = plugins.load_measure("emd-color", {})
    red, orange, green = (
        np.full((20, 20, 3), np.multiply(colorsys.hsv_to_rgb(hue, 0.9, 0.8), 255), np.uint8) for hue in (0, 0.05, 0.3)
    )
    assert 0 < measure.measure(red, orange).value < measure.measure(red, green).value / 2


def test_emd_color__the_farthest_colors_have_the_worst_value() -> None:
    blue, green = (np.full((9, 9, 3), color, np.uint8) for color in ((0, 0, 255), (0, 255, 0)))
    measure = plugins.load_measure("emd-color", {})
    assert measure.measure(blue, green).value == pytest.approx(measure.worst, abs=0.05)


def test_emd_gray__a_dark_spot_moves() -> None:
    """Move a spot by 7 cells to the right and 7 down, which is 7/15 of the diagonal."""
    a, b = np.full((2, 160, 160, 3), 255, np.uint8)
    a[20:40, 20:40] = b[90:110, 90:110] = 0
    result = plugins.load_measure("emd-gray", {}).measure(a, b)
    spot = 4 * 255 / (256 + 4 * 255)
    assert result.value == pytest.approx(spot * 7 / 15, abs=1e-6)
    assert result.details["moved"] == pytest.approx(100 * spot, abs=0.1)
    assert sum(move["share"] for move in result.details["moves"]) == pytest.approx(100 * spot, abs=0.5)


@pytest.mark.parametrize("name", ["emd-color", "emd-gray"])
def test_measure__blank_against_itself_and_an_image(name: str) -> None:
    measure = plugins.load_measure(name, {})
    assert measure.measure(WHITE, WHITE[:9]).value == pytest.approx(0, abs=1e-4)
    assert measure.measure(WHITE, drawn(60, 80)).value > 0


def test_emd_color__colors_out_of_range() -> None:
    with pytest.raises(ValueError, match="from 1 to 64"):
        EmdColor(colors=0)
