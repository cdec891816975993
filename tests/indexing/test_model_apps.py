"""Apps that change how models are stored, in a project of its own: translations, revisions, and soft deletion."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.databases import VARIANT
from tests.own_project import run_project

FILES = {
    "settings.py": """
        import os
        import dj_database_url

        DATABASES = {"default": dj_database_url.parse(os.environ["PROJECT_DATABASE_URL"])}
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        SECRET_KEY = "test"
        USE_TZ = True
        MEDIA_ROOT = "media"
        STATIC_URL = "static/"
        LANGUAGE_CODE = "en"
        LANGUAGES = [("en", "English"), ("de", "German")]
        PARLER_LANGUAGES = {None: ({"code": "en"}, {"code": "de"})}
        MODEL_APPS = ["modeltranslation", "parler", "reversion", "safedelete"]
        INSTALLED_APPS = [*MODEL_APPS, "django.contrib.contenttypes", "django.contrib.auth", "shop", "similar_images"]
        CELERY_BROKER_URL = "redis://localhost:1/0"
        SIMILAR_IMAGES = {"METHODS": {"color": {}}, "RANKING": {"color": 1}, "NEAR_DUPLICATE_THRESHOLD": 101}
    """,
    "shop/__init__.py": "",
    "shop/models.py": """
        import reversion
        import similar_images
        from django.db import models
        from parler.models import TranslatableModel, TranslatedFields
        from safedelete.models import SafeDeleteModel

        class Poster(models.Model):
            image = models.ImageField(upload_to="posters/")

        class Banner(TranslatableModel):
            translations = TranslatedFields(image=models.ImageField(upload_to="banners/"))

        similar_images.register(Banner.translations.rel.related_model, "image", owner="master")

        @reversion.register()
        @similar_images.register("image")
        class Photo(models.Model):
            image = models.ImageField(upload_to="photos/")

        @similar_images.register("image")
        class Sketch(SafeDeleteModel):
            image = models.ImageField(upload_to="sketches/")
    """,
    "shop/translation.py": """
        import similar_images
        from modeltranslation.translator import TranslationOptions, register

        from .models import Poster

        @register(Poster)
        class PosterOptions(TranslationOptions):
            fields = ("image",)

        similar_images.register(Poster, "image_en")
        similar_images.register(Poster, "image_de")
    """,
    "run.py": """
        import io
        import django
        django.setup()
        import reversion
        import similar_images
        from django.core.files.base import ContentFile
        from django.core.management import call_command
        from django.utils import translation
        from PIL import Image
        from reversion.models import Version
        from shop.models import Banner, Photo, Poster, Sketch
        from similar_images import registry, tasks
        from similar_images.checks import source_fields
        from similar_images.indexing import notify
        from similar_images.models import IndexedImage

        call_command("makemigrations", "shop", verbosity=0)
        call_command("migrate", verbosity=0)
        sent = []
        notify.notify_workers = lambda: sent.append("index")

        def drawn(color):
            file = io.BytesIO()
            Image.new("RGB", (40, 40), color).save(file, "PNG")
            return ContentFile(file.getvalue(), name=f"{color}.png")

        def index():
            tasks.sweep.apply()
            tasks.index_due.apply()
            assert not IndexedImage.objects.exclude(status="indexed").exists()

        def files_of(item):
            return {record.file_name for record in IndexedImage.objects.filter(source__model=item._meta.model_name)}

        def found(item, **options):
            return [(match.object, match.similarity) for match in similar_images.similar_to(item, **options)]

        # modeltranslation: a field of each language is a source
        red = Poster.objects.create(image_en=drawn("red"), image_de=drawn("blue"))
        mixed = Poster.objects.create(image_en=drawn("red"), image_de=drawn("lime"))
        index()
        before = files_of(red)
        assert len(before) == 4
        for language in ("en", "de"):
            with translation.override(language):
                Poster.objects.get(pk=red.pk).save()
                index()
                assert files_of(red) == before
                assert found(red, field="image_en") == [(mixed, 100)]
                assert found(red, field="image_de")[0][1] < 50
        assert source_fields.check_translated_fields() == []
        similar_images.register(Poster, "image")
        (message,) = source_fields.check_translated_fields()
        assert (message.id, message.hint.endswith("in its place: image_en, image_de.")) == ("similar_images.E023", True)
        del registry._sources[Poster, "image"]

        # parler: the translations are the images of what they translate
        banner = Banner.objects.language("en").create(image=drawn("red"))
        banner.set_current_language("de")
        banner.image = drawn("blue")
        banner.save()
        other = Banner.objects.language("en").create(image=drawn("blue"))
        index()
        assert found(banner) == [(other, 100)]

        # reversion: a revert is indexed like any save
        with reversion.create_revision():
            photo = Photo.objects.create(image=drawn("red"))
        first = photo.image.name
        with reversion.create_revision():
            photo.image = drawn("blue")
            photo.save()
        index()
        sent.clear()
        Version.objects.get_for_object(photo).last().revert()
        assert sent, "the workers are notified"
        tasks.index_due.apply()
        assert files_of(photo) == {first}

        # safedelete: what is deleted softly is not shown, and comes back
        sketch, kept = Sketch.objects.create(image=drawn("red")), Sketch.objects.create(image=drawn("red"))
        index()
        assert found(kept) == [(sketch, 100)]
        sketch.delete()
        index()
        assert (found(kept), found(sketch)) == ([], [])
        sketch.undelete()
        assert found(kept) == [(sketch, 100)]
        print("done")
    """,
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(VARIANT != "", reason="the project has a database of its own")
def test_model_apps__keep_their_images_indexed(tmp_path: Path) -> None:
    for name in ("modeltranslation", "parler", "reversion", "safedelete"):
        pytest.importorskip(name)
    run_project(tmp_path, FILES)
