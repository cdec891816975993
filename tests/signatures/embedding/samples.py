"""Options and photos that tests of embeddings share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage.io
from hypothesis import strategies as st
from numpy.typing import NDArray

MAP_OPTIONS = {"size": 32, "output": "map", "pooling": "mean", "dimensions": 48}
"""Options for the feature map of `encoders.image_encoder`."""

PHOTO_CLASSES = {"chelsea.png": {281, 282, 285}, "coffee.png": {967}, "motorcycle_left.png": {665, 670}}
"""ImageNet classes that are right for a photo."""


def read_photo(name: str) -> NDArray[np.uint8]:
    return skimage.io.imread(Path(skimage.__file__).parent / "data" / name)


mutations = st.lists(st.tuples(st.integers(0, 10**9), st.binary(max_size=8), st.integers(0, 8)), min_size=1, max_size=6)
"""Changes for `mutate`."""


def mutate(data: bytes, changes: list[tuple[int, bytes, int]]) -> bytes:
    """Put some bytes in place of others."""
    for place, new, removed in changes:
        place %= len(data) + 1
        data = data[:place] + new + data[place + removed :]
    return data
