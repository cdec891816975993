"""Histogram distances compared with OpenCV's formulas written out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

import similar_images
from similar_images import plugins
from similar_images.measures.base import ComparisonImage
from similar_images.signatures import color
from similar_images.signatures.color import count_colors

from .contract import MeasureContract

NAMES = ["intersection", "correlation", "chi-square", "bhattacharyya"]
WHITE = np.full((60, 80, 3), 255, np.uint8)


class TestIntersection(MeasureContract):
    name = "intersection"


class TestCorrelation(MeasureContract):
    name = "correlation"


class TestRgbCorrelation(MeasureContract):
    name = "correlation-rgb"


class TestChiSquare(MeasureContract):
    name = "chi-square"


class TestBhattacharyya(MeasureContract):
    name = "bhattacharyya"


def plain(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((40, 40, 3), (red, green, blue), np.uint8)


def value(name: str, a: np.ndarray, b: np.ndarray) -> float:
    return plugins.load_measure(name, {}).measure(a, b).value


def test_measure__equals_the_formulas() -> None:
    pictures = skimage.data.chelsea(), skimage.data.coffee()
    a, b = (
        counts / counts.sum() for counts in (count_colors(ComparisonImage(p).pixels).astype(float) for p in pictures)
    )
    assert value("intersection", *pictures) == pytest.approx(np.minimum(a, b).sum(), abs=1e-6)
    assert value("correlation", *pictures) == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)
    either = a + b > 0
    chi_square = 2 * ((a - b)[either] ** 2 / (a + b)[either]).sum()
    assert value("chi-square", *pictures) == pytest.approx(chi_square, abs=1e-6)
    assert value("bhattacharyya", *pictures) == pytest.approx(np.sqrt(1 - np.sqrt(a * b).sum()), abs=1e-6)


def test_measure__equals_calc_hist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without soft binning the histogram equals that of `cv2.calcHist`."""
    picture = cv2.resize(skimage.data.coffee(), (200, 150), interpolation=cv2.INTER_AREA)
    whole = tuple(np.eye(size, dtype=np.float32) for size in color.FINE_BINS)
    monkeypatch.setattr(color, "_bin_shares", lambda: whole)
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    mask = (picture.min(axis=2) < 243).astype(np.uint8)
    expected = cv2.calcHist([hsv], [0, 1, 2], mask, color.FINE_BINS, (0, 180, 0, 256, 0, 256))
    assert np.array_equal(count_colors(picture), expected.ravel())


@pytest.mark.parametrize(("name", "disjoint"), [*zip(NAMES, [0, -2 / 214, 4, 1], strict=True)])
def test_measure__disjoint(name: str, disjoint: float) -> None:
    """White and black fill two bins each, of 216."""
    measure = plugins.load_measure(name, {})
    result = measure.measure(WHITE, WHITE - 255)
    assert result.value == pytest.approx(disjoint, abs=2e-4 if disjoint < 0 else 1e-6)
    assert measure.similarity(result) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_measure__white_is_ignored(name: str) -> None:
    measure = plugins.load_measure(name, {})
    red, wide, blue = (
        np.pad(plain(*rgb), ((n, n), (n, n), (0, 0)), constant_values=255)
        for rgb, n in (((200, 20, 30), 20), ((200, 20, 30), 60), ((20, 30, 200), 20))
    )
    assert measure.similarity(measure.measure(red, wide)) > 99
    assert measure.similarity(measure.measure(red, blue)) < 1


@pytest.mark.parametrize("name", NAMES)
def test_measure__blank(name: str) -> None:
    measure = plugins.load_measure(name, {})
    assert measure.measure(WHITE, np.full((9, 5, 3), 255, np.uint8)).value == pytest.approx(measure.best, abs=1e-6)
    assert measure.similarity(measure.measure(WHITE, plain(200, 20, 30))) == pytest.approx(0, abs=0.1)


def test_compare__counts_the_colors_of_an_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from similar_images.measures import histograms

    calls = []
    monkeypatch.setattr(histograms, "count_colors", lambda *args: calls.append(args) or count_colors(*args))
    a, b = ComparisonImage(plain(200, 20, 30)), ComparisonImage(plain(20, 30, 200))
    for name in NAMES:
        plugins.load_measure(name, {}).compare(a, b)
    assert len(calls) == 2


def opencv_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation as it is often computed with OpenCV: 256 bins a channel, white cleared, scaled to 0 to 1."""
    histograms = []
    for rgb in (a, b):
        pixels = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        histogram = cv2.calcHist([pixels], [0, 1, 2], None, 3 * [256], 3 * [0, 256])
        histogram[255, 255, 255] = 0
        histograms.append(cv2.normalize(histogram, None, 0, 1, cv2.NORM_MINMAX))
    return cv2.compareHist(*histograms, cv2.HISTCMP_CORREL)


def on_white(pixels: np.ndarray, margin: int) -> np.ndarray:
    return np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), constant_values=255)


CAT, COFFEE = skimage.data.chelsea(), skimage.data.coffee()
PAIRS = {
    "a brighter copy": (COFFEE, np.clip(COFFEE.astype(int) + 3, 0, 255).astype(np.uint8)),
    "a part": (CAT, CAT[40:260, 60:400]),
    "half the size": (COFFEE, cv2.resize(COFFEE, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)),
    "on white": (on_white(CAT[:100, :100], 10), on_white(CAT[50:150, :100], 90)),
    "another photo": (CAT, COFFEE),
    "large": (np.tile(COFFEE, (3, 3, 1)), np.tile(COFFEE[::-1, 5:], (3, 3, 1))),
}


@pytest.mark.parametrize("name", PAIRS)
def test_rgb_correlation__equals_opencv(name: str) -> None:
    """At the size that the pixels are given in, also where other measures reduce it."""
    a, b = PAIRS[name]
    assert value("correlation-rgb", a, b) == pytest.approx(opencv_correlation(a, b), abs=1e-6)


def test_rgb_correlation__of_files(tmp_path: Path) -> None:
    """A comparison of two files gives what OpenCV gives for what it reads of them."""
    paths = [tmp_path / "a.png", tmp_path / "b.jpg"]
    for path, pixels in zip(paths, (on_white(COFFEE, 30), COFFEE[20:, 40:]), strict=True):
        assert cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    row = similar_images.compare(*paths, measures=["correlation-rgb"])["correlation-rgb"]
    read = [cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in paths]
    assert 0.05 < row.value < 0.95
    assert row.value == pytest.approx(opencv_correlation(*read), abs=1e-6)


def test_rgb_correlation__of_one_white_image() -> None:
    """OpenCV gives 1 for anything beside an empty histogram."""
    assert opencv_correlation(WHITE, COFFEE) == 1
    assert value("correlation-rgb", WHITE, COFFEE) == value("correlation-rgb", COFFEE, WHITE) == 0
    assert value("correlation-rgb", WHITE, WHITE[:9]) == 1
