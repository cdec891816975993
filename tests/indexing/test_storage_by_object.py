"""Files whose storage depends on their object, as the private files of django-filer: whatever reads them asks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db.models.fields.files import ImageFieldFile

import similar_images
from similar_images import registry
from similar_images.evaluation.stored import describe_source
from similar_images.indexing.requests import request_before_write
from similar_images.indexing.versions import configured_methods
from similar_images.models import DuplicateImage, IndexedImage
from similar_images.sources.source import ImageSource
from tests import commands, drawing
from tests.databases import connection
from tests.testapp.models import Private

pytestmark = pytest.mark.django_db


class VaultFile(ImageFieldFile):
    """A file that is in the vault where its owner is the vault."""

    vault: FileSystemStorage

    def __init__(self, instance: Any, field: Any, name: str | None) -> None:
        super().__init__(instance, field, name)
        if instance.owner == "vault":
            self.storage = self.vault


@pytest.fixture(autouse=True)
def _vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    VaultFile.vault = FileSystemStorage(tmp_path / "vault", allow_overwrite=True)
    monkeypatch.setattr(Private._meta.get_field("image"), "attr_class", VaultFile)
    open_to_all = ImageSource(Private, "image", visible=lambda request: Private.objects.all())
    monkeypatch.setitem(registry._sources, (Private, "image"), open_to_all)


def save(owner: str, seed: int, **options: Any) -> Private:
    data = drawing.encoded(drawing.textured(seed), options.pop("kind", "PNG"), **options)
    return Private.objects.create(owner=owner, image=ContentFile(data, name=f"{owner}-{seed}.png"))


@pytest.fixture
def secret(index_now: Any) -> Private:
    """Save an image in the vault, a copy of it outside, and another image."""
    secret = save("vault", 1)
    save("everyone", 1, kind="JPEG", quality=90)
    save("everyone", 2)
    index_now()
    return secret


def test_worker__reads_the_storage_of_each_object(secret: Private) -> None:
    assert not (Path(Private._meta.get_field("image").storage.location) / secret.image.name).exists()
    assert {record.status for record in IndexedImage.objects.all()} == {"indexed"}


def test_worker__keeps_the_record_of_a_file_that_has_moved(secret: Private, index_now: Any) -> None:
    with secret.image.open() as opened:
        data = opened.read()
    secret.owner = "everyone"
    secret.save()
    FileSystemStorage().save(secret.image.name, ContentFile(data))
    VaultFile.vault.delete(secret.image.name)
    IndexedImage.objects.filter(object_id=str(secret.pk)).update(status="pending")
    index_now()
    record = IndexedImage.objects.get(object_id=str(secret.pk))
    assert (record.status, record.error) == ("indexed", "")


def test_worker__tells_that_the_file_of_an_object_that_is_gone_is_missing(secret: Private, index_now: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE testapp_private DISABLE TRIGGER ALL")
        Private.objects.filter(pk=secret.pk)._raw_delete(connection.alias)
    IndexedImage.objects.filter(object_id=str(secret.pk)).update(status="pending")
    index_now()
    record = IndexedImage.objects.get(object_id=str(secret.pk))
    assert (record.status, record.error) == ("failed", "The file is missing from the storage.")


@pytest.mark.parametrize("options", [{"mode": "copy"}, {"rerank": "keypoints"}, {"box": "0,0,0.9,0.9"}])
def test_searches__that_read_images_read_those_in_the_vault(secret: Private, options: dict[str, Any]) -> None:
    copy = Private.objects.get(owner="everyone", image__endswith="-1.png")
    assert similar_images.similar_to(secret, **options)[0].object == copy
    assert similar_images.similar_to(copy, **options)[0].object == secret


def test_compare__reads_the_vault(secret: Private) -> None:
    copy = Private.objects.get(owner="everyone", image__endswith="-1.png")
    assert similar_images.compare(secret, copy, measures=["ssim"]).verdict.kind == "same-picture"


def test_duplicates__in_the_vault_are_found_and_measured(secret: Private) -> None:
    commands.run("find_duplicates", "testapp.Private.image", "--save")
    assert {row.bytes > 0 and row.modified_at is not None for row in DuplicateImage.objects.all()} == {True}
    assert DuplicateImage.objects.count() == 2


def test_evaluation__reads_the_vault(secret: Private) -> None:
    source = registry.get_source(Private)
    described, _missing = describe_source(source, None, configured_methods(source), None)
    assert all(image.read() for image in described.images)
    assert len(described.images) == 3


def test_overwriting__is_noticed_in_the_storage_of_the_object(secret: Private) -> None:
    name = secret.image.name
    outside = Private(owner="everyone", image=name)
    FileSystemStorage().save(name, ContentFile(b"another"))
    assert [request.file_name for request in request_before_write(secret.image, name)] == [name]
    assert request_before_write(outside.image, name) == []  # it is taken there, and not overwritten
