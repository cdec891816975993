from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.drawing import textured
from tests.items import save_image
from tests.testapp.models import Picture


@pytest.fixture
def edited_copies(index_now: Any) -> dict[str, Picture]:
    """Index an image, edited copies of it, and other images."""
    image = textured(1)
    items = {
        "query": save_image(image, "query"),
        "identical": save_image(image, "identical"),
        "encoded": save_image(image, "encoded", "JPEG", quality=60),
        "mirrored": save_image(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "mirrored"),
        "cropped": save_image(image.crop((20, 15, 320, 240)), "cropped"),
        **{f"other{seed}": save_image(textured(seed), f"other{seed}") for seed in range(2, 7)},
    }
    index_now()
    return items


@pytest.fixture
def recolored(configure: Any, index_now: Any) -> dict[str, Picture]:
    """Index an object twice, once darker and rotated, which by mean color ranks last, behind plain images."""
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    image = textured(1)
    same = Image.fromarray((np.array(image.rotate(8)) * 0.5).astype(np.uint8))
    items = {"query": save_image(image, "query"), "same": save_image(same, "same")}
    mean = np.array(image).mean(axis=(0, 1)).astype(np.uint8)
    for number in range(3):
        plain = Image.new("RGB", image.size, tuple(int(level) + number for level in mean))
        items[f"plain{number}"] = save_image(plain, f"plain{number}")
    index_now()
    return items
