from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from tests import drawing
from tests.search.samples import save_color
from tests.testapp.models import Picture


@pytest.fixture
def fold_equal_grays(mean_method: None, configure: Any) -> None:
    """Make grays of one level near-duplicates, and no others."""
    configure(NEAR_DUPLICATE_THRESHOLD=99.9)


@pytest.fixture
def red_and_green(mean_method: None, index_now: Any) -> list[Picture]:
    """Index an image that is red on the left and green on the right, a red one, and a green one."""
    image = Image.new("RGB", (40, 20), (200, 0, 0))
    image.paste((0, 200, 0), (20, 0, 40, 20))
    both = Picture.objects.create(image=drawing.ContentFile(drawing.encoded(image), name="both.png"), title="both")
    items = [both, save_color(200, 0, 0), save_color(0, 200, 0)]
    index_now()
    return items
