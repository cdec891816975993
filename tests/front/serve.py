"""Fill a database with items of all shapes, index them, and serve the host: `python -m tests.front.serve PORT`."""

from __future__ import annotations

import os
import sys

import django
from django.core.files.base import ContentFile
from django.core.management import call_command

LONG = (
    "A very long name of an item, such as merchants write for search engines, with Donaudampfschifffahrtsgesellschaft"
)


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.front.settings"
    django.setup()
    from django.db import connection

    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    fill()
    call_command("index_images", sync=True, verbosity=0)
    call_command("runserver", f"127.0.0.1:{sys.argv[1]}", use_reloader=False, verbosity=0)


def fill() -> None:
    """Save items whose images are landscape, portrait, square, small, and missing, and some without a page."""
    from tests import drawing

    from .models import Item, Sketch

    def picture(seed: int, size: tuple[int, int]) -> ContentFile[bytes]:
        return ContentFile(drawing.encoded(drawing.scene(seed, size), "JPEG"), name=f"{seed}.jpg")

    sizes = [(640, 480), (360, 640), (500, 500), (48, 36), (900, 300)]
    for seed in range(30):
        name = LONG if seed % 7 == 3 else f"Item {seed}"
        Item.objects.create(name=name, image=picture(seed, sizes[seed % len(sizes)]))
    for seed in range(3):
        Sketch.objects.create(name=f"Sketch {seed}", image=picture(100 + seed, (400, 300)))


if __name__ == "__main__":
    main()
