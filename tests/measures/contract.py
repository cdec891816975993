"""The tests that every measure has to pass; a measure's test class inherits them."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from similar_images import plugins
from similar_images.measures.base import ComparisonImage, Measure, reduce_to
from similar_images.measures.drawing import canvas
from tests.signatures.contract import HEAVY, PICTURES, draw

SMALL = arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(3)))
PAIRS = [(name, name) for name in PICTURES] + [("photo-sized", name) for name in list(PICTURES)[1:]]


class MeasureContract:
    name: str

    is_symmetric = True
    symmetry = 1e-5
    """Largest difference between the results of two images in either order."""
    tolerance = 1e-6
    """Largest difference between the result of an image with itself and the best value."""

    @pytest.fixture
    def measure(self) -> Measure:
        return plugins.load_measure(self.name, {})

    def check(self, measure: Measure, a: np.ndarray, b: np.ndarray) -> None:
        result = measure.measure(a, b)
        low, high = sorted((measure.best, measure.worst))
        assert low - self.tolerance <= result.value <= high + self.tolerance
        assert not math.isnan(result.value)
        assert 0 <= measure.similarity(result) <= 100
        json.dumps(result.details, allow_nan=False)
        if self.is_symmetric:
            assert measure.measure(b, a).value == pytest.approx(result.value, abs=self.symmetry, rel=1e-5)
        for name in measure.drawings:
            picture = canvas.add_title(
                measure.draw(name, ComparisonImage(a), ComparisonImage(b), result), str(measure.drawings[name])
            )
            assert picture.dtype == np.uint8
            assert picture.shape[2] == 3
            assert max(picture.shape) <= 1200

    @pytest.mark.parametrize(("first", "second"), PAIRS)
    def test_measure__any_images(self, measure: Measure, first: str, second: str) -> None:
        self.check(measure, *(reduce_to(PICTURES[name], 640) for name in (first, second)))

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(a=SMALL, b=SMALL)
    def test_measure__any_pixels(self, a: np.ndarray, b: np.ndarray) -> None:
        self.check(plugins.load_measure(self.name, {}), a, b)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(a=SMALL)
    def test_measure__an_image_with_itself(self, a: np.ndarray) -> None:
        measure = plugins.load_measure(self.name, {})
        result = measure.measure(a, a.copy())
        assert result.value == pytest.approx(measure.best, abs=self.tolerance)
        assert measure.similarity(result) == pytest.approx(100, abs=0.1)

    def test_measure__huge_images_are_reduced(self, measure: Measure) -> None:
        result = measure.measure(draw(2000, 3000), draw(2000, 3000, seed=1))
        assert not math.isnan(result.value)
        assert measure.measure(draw(2000, 3000), draw(2000, 3000, seed=1)).value == result.value

    def test_attributes(self, measure: Measure) -> None:
        assert measure.name == self.name
        assert str(measure.title)
        assert str(measure.meaning)
        assert measure.best != measure.worst
        distances, percents = zip(*measure.curve, strict=True)
        assert (distances[0], percents[0], percents[-1]) == (0, 100, 0)
        assert list(distances) == sorted(distances)
        assert list(percents) == sorted(percents, reverse=True)

    def test_creating_and_checking__loads_nothing_heavy(self) -> None:
        code = (
            "import sys, django; django.setup()\n"
            "from similar_images import plugins\n"
            f"plugins.load_measure({self.name!r}, {{}}).check()\n"
            f"print([name for name in {HEAVY!r} if name in sys.modules])"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert result.stdout.strip() == "[]"
