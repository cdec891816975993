"""Tests of a host with a thumbnail library, which Django's own runner runs for each library in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.db import connection
from django.template import Context, Template
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils.module_loading import import_string
from PIL import Image

from similar_images import thumbnails
from similar_images.indexing import claims, worker
from tests import drawing
from tests.thumbnails.models import Photo

LIBRARY = settings.LIBRARY
IS_WAGTAIL = LIBRARY == "wagtail_renditions"
FIELD = "file" if IS_WAGTAIL else "image"
THUMBNAILER: Any = getattr(thumbnails, LIBRARY)
MODULES = {
    "easy_thumbnails": "easy_thumbnails",
    "sorl_thumbnail": "sorl",
    "imagekit": "imagekit",
    "wagtail_renditions": "wagtail",
    "django_pictures": "pictures",
}


def save_photo(size: tuple[int, int] = (1200, 900), name: str = "photo.png", seed: int = 1, **options: Any) -> Any:
    kind = {"png": "PNG", "jpg": "JPEG"}[name.rpartition(".")[2]]
    content = ContentFile(drawing.encoded(drawing.scene(seed, size), kind, **options), name=name)
    return Photo.objects.create(**{FIELD: content}, **({"title": name} if IS_WAGTAIL else {}))


def file_of(photo: Any) -> Any:
    return getattr(Photo.objects.get(pk=photo.pk), FIELD)


def opened(url: str) -> Image.Image:
    image = Image.open(Path(settings.MEDIA_ROOT) / unquote(url).removeprefix(settings.MEDIA_URL))
    image.load()
    return image


class ThumbnailTest(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        if IS_WAGTAIL:
            from wagtail.models import Collection

            Collection.add_root(name="Root")

    def setUp(self) -> None:
        cache.clear()  # names of files come again

    def make(self, photo: Any, **options: Any) -> thumbnails.Thumbnail:
        thumbnail = thumbnails.make_thumbnail(THUMBNAILER(**options), file_of(photo))
        assert thumbnail is not None
        return thumbnail

    def test_only_the_library_that_is_used_is_imported(self) -> None:
        self.make(save_photo())
        assert {name for name in MODULES.values() if name in sys.modules} == {MODULES[LIBRARY]}

    def test_files_have_the_sizes_that_are_promised(self) -> None:
        thumbnail = self.make(save_photo(), width=300)
        assert thumbnail.width >= 300
        assert thumbnail.width <= 400
        assert opened(thumbnail.url).size == (thumbnail.width, thumbnail.height)
        assert abs(thumbnail.width / thumbnail.height - 4 / 3) < 0.02
        entries = [entry.split(" ") for entry in thumbnail.srcset.split(", ")]
        assert len(entries) == 2
        assert entries[0][0] == thumbnail.url
        for url, descriptor in entries:
            assert f"{opened(url).width}w" == descriptor

    def test_a_tall_image_fits_into_the_box(self) -> None:
        thumbnail = self.make(save_photo((600, 1200)), width=200)
        assert opened(thumbnail.url).size == (thumbnail.width, thumbnail.height)
        assert abs(thumbnail.height / thumbnail.width - 2) < 0.05

    def test_an_image_that_is_turned_by_exif_stands_upright(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        thumbnail = self.make(save_photo((1200, 900), "turned.jpg", exif=exif), width=300)
        assert opened(thumbnail.url).size == (thumbnail.width, thumbnail.height)
        assert thumbnail.width < thumbnail.height

    def test_a_small_image_is_not_enlarged(self) -> None:
        thumbnail = thumbnails.make_thumbnail(THUMBNAILER, file_of(save_photo((40, 30))))
        if LIBRARY == "django_pictures":  # none of its widths is that small: the original is shown
            assert thumbnail is None
        else:
            assert thumbnail is not None
            assert (thumbnail.width, thumbnail.height, thumbnail.srcset) == (40, 30, "")

    def test_format(self) -> None:
        thumbnail = self.make(save_photo(), format="WEBP")
        assert opened(thumbnail.url).format == "WEBP"

    def test_the_dotted_path_names_the_thumbnailer_itself(self) -> None:
        thumbnailer = import_string(f"similar_images.thumbnails.{LIBRARY}")
        assert thumbnailer(file_of(save_photo())) is not None

    def test_a_missing_or_broken_file_has_none(self) -> None:
        missing, broken = save_photo(), save_photo(seed=2)
        file_of(missing).storage.delete(file_of(missing).name)
        Path(file_of(broken).path).write_bytes(b"no image")
        if LIBRARY == "django_pictures":  # what was made when the image was saved goes with it
            for photo in (missing, broken):
                for picture in file_of(photo).get_picture_files_list():
                    picture.delete()
        for photo in (missing, broken):
            assert thumbnails.make_thumbnail(THUMBNAILER, file_of(photo)) is None
        assert Photo.objects.exists()  # the transaction is none the worse

    def test_a_widget_shows_thumbnails_at_a_fixed_number_of_queries(self) -> None:
        query = save_photo()
        counts = []
        for seeds in (range(2, 4), range(4, 8)):
            for seed in seeds:
                save_photo(seed=seed, name=f"{seed}.png")
            while records := claims.claim_batch():
                worker.index_records(records)
            template = Template("{% load similar_images %}{% similar_items_widget photo min_similarity=0 limit=20 %}")
            template.render(Context({"photo": query}))  # makes them
            with CaptureQueriesContext(connection) as captured:
                html = template.render(Context({"photo": query}))
            assert html.count("<img") == html.count("srcset=") == seeds.stop - 2
            counts.append(len(captured))
        assert counts[0] == counts[1]
        thumbnail = self.make(Photo.objects.exclude(pk=query.pk)[0])
        assert f'src="{thumbnail.url}" srcset="{thumbnail.srcset}"' in html
        assert f'width="{thumbnail.width}" height="{thumbnail.height}"' in html

    def test_a_list_costs_as_many_queries_as_one_image_once_made(self) -> None:
        photos = [save_photo(seed=seed, name=f"{seed}.png") for seed in range(6)]
        for photo in photos:
            self.make(photo)
        counts = []
        for count in (1, 6):
            files = [getattr(photo, FIELD) for photo in Photo.objects.all()[:count]]
            with CaptureQueriesContext(connection) as captured:
                thumbnails.prepare_thumbnails(THUMBNAILER, files)
                for file in files:
                    assert thumbnails.make_thumbnail(THUMBNAILER, file) is not None
            counts.append(len(captured))
        assert counts == [int(IS_WAGTAIL)] * 2
