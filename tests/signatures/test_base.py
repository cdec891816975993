from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from similar_images import plugins
from similar_images.signatures.base import distance_from_similarity, similarities_on_curve, similarity_from_distance

CURVE = ((0, 100), (0.1, 90), (0.3, 40), (0.5, 40), (1, 0))


@pytest.mark.parametrize(
    ("distance", "similarity"),
    [(-1, 100), (0, 100), (0.05, 95), (0.1, 90), (0.2, 65), (0.4, 40), (0.75, 20), (1, 0), (7, 0)],
)
def test_similarity_from_distance__interpolates(distance: float, similarity: float) -> None:
    assert similarity_from_distance(CURVE, distance) == pytest.approx(similarity)
    assert similarities_on_curve(CURVE, [distance, 0]) == [pytest.approx(similarity), 100]


@pytest.mark.parametrize(("similarity", "distance"), [(100, 0), (95, 0.05), (65, 0.2), (40, 0.5), (20, 0.75), (0, 1)])
def test_distance_from_similarity__is_the_largest_distance(similarity: float, distance: float) -> None:
    assert distance_from_similarity(CURVE, similarity) == pytest.approx(distance)


@given(distance=st.floats(0, 10), more=st.floats(0, 10))
def test_similarity__is_a_percentage_and_never_rises_with_distance(distance: float, more: float) -> None:
    for method in plugins.enabled_methods().values():
        assert 100 >= method.similarity(distance) >= method.similarity(distance + more) >= 0
        assert method.similarity(0) == 100


@pytest.mark.parametrize("similarity", [0, 12.5, 60, 84.2, 99, 100])
def test_distance_from_similarity__is_the_inverse_of_similarity(similarity: float) -> None:
    for method in plugins.enabled_methods().values():
        distance = distance_from_similarity(method.curve, similarity)
        assert method.similarity(distance) == pytest.approx(similarity, abs=1e-6)
