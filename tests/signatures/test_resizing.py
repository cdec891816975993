from __future__ import annotations

import numpy as np
import pytest

from similar_images.signatures.resizing import fit_size, reduce_to_side


@pytest.mark.parametrize(
    ("shape", "size"),
    [((300, 400), (40, 30)), ((400, 300), (30, 40)), ((30, 20), (20, 30)), ((1, 5000), (40, 1)), ((40, 40), (40, 40))],
)
def test_fit_size__is_at_most_the_long_side(shape: tuple[int, int], size: tuple[int, int]) -> None:
    assert fit_size(np.zeros((*shape, 3), np.uint8), 40) == size


def test_reduce_to_side__averages_by_area() -> None:
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, ::2] = 200
    reduced = reduce_to_side(pixels, 4)
    assert reduced.shape == (2, 4, 3)
    assert (reduced == 100).all()
