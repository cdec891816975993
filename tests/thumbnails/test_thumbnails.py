"""Thumbnailers, each with its real library, in a process of its own: their apps are not the test project's."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from similar_images import thumbnails
from tests.databases import VARIANT
from tests.testapp.models import Picture

ROOT = Path(__file__).parents[2]
LIBRARIES = {
    "easy_thumbnails": "easy_thumbnails",
    "sorl_thumbnail": "sorl",
    "imagekit": "imagekit",
    "wagtail_renditions": "wagtail",
    "django_pictures": "pictures",
}


@pytest.mark.skipif(VARIANT != "", reason="each suite makes a database of its own")
@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries__make_thumbnails(library: str, tmp_path: Path) -> None:
    if not importlib.util.find_spec(LIBRARIES[library]):
        pytest.skip(f"NO THUMBNAILS BY {library}: {LIBRARIES[library]} is not installed")
    env = {"THUMBNAIL_LIBRARY": library, "THUMBNAIL_MEDIA": str(tmp_path)}
    env |= {"DJANGO_SETTINGS_MODULE": "tests.thumbnails.settings"}
    command = [sys.executable, "-W", "ignore", "-m", "django", "test", "tests.thumbnails", "--pattern=suite.py"]
    done = subprocess.run(
        [*command, "--noinput"], cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("library", LIBRARIES)
def test_thumbnailers__take_options(library: str) -> None:
    thumbnailer: Any = getattr(thumbnails, library)
    smaller = thumbnailer(width=160, densities=(1, 1.5, 2))
    assert smaller.boxes == [(160, 160), (240, 240), (320, 320)]
    assert smaller == thumbnailer(width=160)(densities=(1, 1.5, 2))
    assert thumbnailer.width == 320
    with pytest.raises(TypeError, match="widht"):
        thumbnailer(widht=160)


def test_make_thumbnail__survives_whatever_a_thumbnailer_does(caplog: pytest.LogCaptureFixture) -> None:
    picture = Picture(image="pictures/a.png")

    def fail(file: Any) -> Any:
        raise OSError("the storage is down")

    assert thumbnails.make_thumbnail(fail, picture.image) is None
    assert "No thumbnail of pictures/a.png: OSError: the storage is down" in caplog.text
    wrong: Any = lambda file: "a.png"  # noqa: E731 - as a host may write it
    assert thumbnails.make_thumbnail(wrong, picture.image) is None
    assert "returned 'a.png', not a Thumbnail" in caplog.text
    assert thumbnails.make_thumbnail(fail, Picture().image) is None  # never asked


def test_prepare_thumbnails__survives_errors_and_gives_files_only(caplog: pytest.LogCaptureFixture) -> None:
    class Thumbnailer:
        def __call__(self, file: Any) -> None:
            return None

        def prepare(self, files: list[Any]) -> None:
            raise OSError(", ".join(file.name for file in files))

    pictures = [Picture(image="a.png"), Picture(), Picture(image="b.png")]
    thumbnails.prepare_thumbnails(Thumbnailer(), [picture.image for picture in pictures])
    assert "Thumbnails can't be prepared: OSError: a.png, b.png" in caplog.text
    thumbnails.prepare_thumbnails(Thumbnailer(), [Picture().image])
    thumbnails.prepare_thumbnails(lambda file: None, [pictures[0].image])
