"""A schema for every tenant, with django-tenants, in a project of its own: ids of sources differ between schemas."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.own_project import run_project

FILES = {
    "settings.py": """
        import os
        import dj_database_url

        database = dj_database_url.parse(os.environ["PROJECT_DATABASE_URL"])
        DATABASES = {"default": database | {"ENGINE": "django_tenants.postgresql_backend"}}
        DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        SECRET_KEY = "test"
        USE_TZ = True
        MEDIA_ROOT = "media"
        COMMON = ["django.contrib.contenttypes", "django.contrib.auth", "shop"]
        SHARED_APPS = ["django_tenants", "customers", *COMMON]
        TENANT_APPS = [*COMMON, "similar_images"]
        INSTALLED_APPS = [*SHARED_APPS, "similar_images"]
        TENANT_MODEL = "customers.Customer"
        TENANT_DOMAIN_MODEL = "customers.Domain"
        CELERY_BROKER_URL = "redis://localhost:1/0"
        SIMILAR_IMAGES = {"METHODS": {"color": {}}, "RANKING": {"color": 1}, "NEAR_DUPLICATE_THRESHOLD": 101}
    """,
    "customers/__init__.py": "",
    "customers/models.py": """
        from django_tenants.models import DomainMixin, TenantMixin

        class Customer(TenantMixin):
            auto_create_schema = True

        class Domain(DomainMixin):
            pass
    """,
    "shop/__init__.py": "",
    "shop/models.py": """
        import similar_images
        from django.db import models

        @similar_images.register("image")
        class Banner(models.Model):
            image = models.ImageField(upload_to="banners/")

        @similar_images.register("image")
        class Photo(models.Model):
            image = models.ImageField(upload_to="photos/")
    """,
    "run.py": """
        import io
        import django
        django.setup()
        from celery import current_app
        from django.core.files.base import ContentFile
        from django.core.files.storage import FileSystemStorage
        from django.core.management import call_command
        from django.db import connection, transaction
        from django_tenants.utils import schema_context
        from PIL import Image

        call_command("makemigrations", "customers", "shop", verbosity=0)
        call_command("migrate_schemas", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION vector")  # in the public schema, where all tenants find it

        import similar_images
        from customers.models import Customer
        from shop.models import Banner, Photo
        from similar_images import tasks
        from similar_images.models import IndexedImage, ReindexRequest, Source

        def drawn(color):
            file = io.BytesIO()
            Image.new("RGB", (40, 40), color).save(file, "PNG")
            return ContentFile(file.getvalue(), name=f"{color}.png")

        one, two = Customer.objects.create(schema_name="one"), Customer.objects.create(schema_name="two")
        with schema_context("two"):
            # The ids are others than in the first schema, and those of the first are none, or another's.
            Source.objects.all().delete()
            for name in ("photo", "banner"):
                Source.objects.create(app_label="shop", model=name, field="image")
            Source.objects.clear_cache()

        for schema in ("one", "two", "one"):
            with schema_context(schema):
                Photo.objects.create(image=drawn("red"))
                Photo.objects.create(image=drawn("orange"))
                Banner.objects.create(image=drawn("red"))
        Photo.objects.create(image=drawn("red"))  # in the public schema, which has no tables of the app
        photo = Photo.objects.get()
        photo.image.save("red.png", drawn("blue"))
        photo.delete()

        tasks.sweep.apply()
        tasks.index_due.apply()
        for schema, count in (("one", 2), ("two", 1)):
            with schema_context(schema):
                records = IndexedImage.objects.select_related("source")
                assert {record.source.model for record in records} == {"photo", "banner"}, schema
                assert records.filter(status="indexed").count() == 3 * count, (schema, [r.error for r in records])
                assert records.filter(source__model="photo").count() == 2 * count, schema
                for item in Photo.objects.all():
                    matches = similar_images.similar_to(item)
                    assert len(matches) == 2 * count - 1
                    assert all(isinstance(match.object, Photo) for match in matches)

        Photo._meta.get_field("image").storage = FileSystemStorage(allow_overwrite=True)
        with schema_context("two"):
            photo = Photo.objects.order_by("pk").first()
            with transaction.atomic():
                photo.image.save(photo.image.name.rpartition("/")[2], drawn("blue"))
            assert ReindexRequest.objects.count() == 1
        tasks.index_due.apply()
        with schema_context("two"):
            assert ReindexRequest.objects.count() == 0
            assert similar_images.similar_to(photo)[0].similarity < 50
            photo.delete()
            assert IndexedImage.objects.count() == 2
        with schema_context("one"):
            assert IndexedImage.objects.filter(status="indexed").count() == 6
        print("done")
    """,
}


@pytest.mark.django_db(transaction=True)
def test_each_tenant_has_records_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("django_tenants")
    run_project(tmp_path, FILES)
