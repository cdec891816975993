"""What every measure must do, whatever it looks at; a measure's test class inherits it."""

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
    """How far the readings of two pictures either way round may be apart."""
    tolerance = 1e-6
    """How far the reading of a picture with itself may be from the best."""

    @pytest.fixture
    def measure(self) -> Measure:
        return plugins.load_measure(self.name, {})

    def check(self, measure: Measure, a: np.ndarray, b: np.ndarray) -> None:
        reading = measure.measure(a, b)
        low, high = sorted((measure.best, measure.worst))
        assert low - self.tolerance <= reading.value <= high + self.tolerance
        assert not math.isnan(reading.value)
        assert 0 <= measure.similarity(reading) <= 100
        json.dumps(reading.details, allow_nan=False)
        if self.is_symmetric:
            assert measure.measure(b, a).value == pytest.approx(reading.value, abs=self.symmetry, rel=1e-5)
        for name in measure.drawings:
            picture = canvas.add_title(
                measure.draw(name, ComparisonImage(a), ComparisonImage(b), reading), str(measure.drawings[name])
            )
            assert picture.dtype == np.uint8
            assert picture.shape[2] == 3
            assert max(picture.shape) <= 1200

    @pytest.mark.parametrize(("first", "second"), PAIRS)
    def test_measure__any_pictures(self, measure: Measure, first: str, second: str) -> None:
        self.check(measure, *(reduce_to(PICTURES[name], 640) for name in (first, second)))

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(a=SMALL, b=SMALL)
    def test_measure__any_pixels(self, a: np.ndarray, b: np.ndarray) -> None:
        self.check(plugins.load_measure(self.name, {}), a, b)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(a=SMALL)
    def test_measure__a_picture_with_itself(self, a: np.ndarray) -> None:
        measure = plugins.load_measure(self.name, {})
        reading = measure.measure(a, a.copy())
        assert reading.value == pytest.approx(measure.best, abs=self.tolerance)
        assert measure.similarity(reading) == pytest.approx(100, abs=0.1)

    def test_measure__huge_is_reduced(self, measure: Measure) -> None:
        reading = measure.measure(draw(2000, 3000), draw(2000, 3000, seed=1))
        assert not math.isnan(reading.value)
        assert measure.measure(draw(2000, 3000), draw(2000, 3000, seed=1)).value == reading.value

    def test_attributes(self, measure: Measure) -> None:
        assert measure.name == self.name
        assert str(measure.title)
        assert str(measure.meaning)
        assert measure.best != measure.worst
        distances, percents = zip(*measure.curve, strict=True)
        assert (distances[0], percents[0], percents[-1]) == (0, 100, 0)
        assert list(distances) == sorted(distances)
        assert list(percents) == sorted(percents, reverse=True)

    def test_making_and_checking__loads_nothing_heavy(self) -> None:
        code = (
            "import sys, django; django.setup()\n"
            "from similar_images import plugins\n"
            f"plugins.load_measure({self.name!r}, {{}}).check()\n"
            f"print([name for name in {HEAVY!r} if name in sys.modules])"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert result.stdout.strip() == "[]"
