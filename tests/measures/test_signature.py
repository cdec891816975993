"""Every signature method as a measure, compared with stored signatures."""

from __future__ import annotations

import numpy as np
import pytest

from similar_images import plugins, signatures
from similar_images.measures.base import ComparisonImage, Unavailable
from tests.signatures.contract import distance, draw, stored


@pytest.mark.parametrize("name", [name for name in signatures.BUILT_IN_METHODS if name != "palette"])
def test_measure__is_the_distance_of_stored_signatures(name: str) -> None:
    measure = plugins.available_measures()[name]
    method = plugins.load_method(name, {})
    a, b = draw(300, 400), draw(200, 220, seed=1)
    expected = distance(method, *(stored(method.compute(pixels)) for pixels in (a, b)))
    result = measure.measure(a, b)
    assert result.value == pytest.approx(expected, abs=1e-5, rel=1e-5)
    assert measure.similarity(result) == pytest.approx(method.similarity(expected), abs=0.1)


@pytest.mark.parametrize("name", signatures.BUILT_IN_METHODS)
def test_measure__an_image_with_itself(name: str) -> None:
    measure = plugins.available_measures()[name]
    image = ComparisonImage(draw(300, 400))
    assert measure.similarity(measure.measure(image, image)) > 99.9


def test_measure__blank_image_matches_nothing() -> None:
    measure = plugins.available_measures()["kaze"]
    result = measure.measure(np.full((60, 80, 3), 255, np.uint8), draw(60, 80))
    assert result.details["low_detail"]
    assert measure.similarity(result) == 0


def test_available__without_a_package_that_a_method_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("similar_images.imaging.opencv.declares_feature", lambda feature: feature != "KAZE")
    plugins.available_measures.cache_clear()
    try:
        measure = plugins.available_measures()["kaze"]
        assert "no KAZE: install opencv-contrib" in measure.check()[0]
        with pytest.raises(Unavailable, match="no KAZE"):
            measure.measure(draw(60, 80), draw(60, 80))
        assert "ahash" in plugins.available_measures()
    finally:
        plugins.available_measures.cache_clear()
