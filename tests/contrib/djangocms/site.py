"""What tests of the site share: images, folders, and users with django-filer's permissions."""

from __future__ import annotations

from typing import Any

from cms.api import add_plugin, create_page
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.test import TestCase
from filer.models import Folder, FolderPermission

from similar_images.contrib.djangocms.access import get_image_model
from similar_images.indexing import claims, worker
from tests import drawing

Image: Any = get_image_model()
IS_CUSTOM = settings.IMAGE_MODEL != "filer.Image"
FIELDS = {"credit": "Ada"} if IS_CUSTOM else {}
LABEL = Image._meta.label_lower
PNG = b"\x89PNG"
API = f"/api/similar-images/{LABEL}"


def index_now() -> None:
    while records := claims.claim_batch():
        worker.index_records(records)


def encoded(seed: int, kind: str = "PNG", **options: Any) -> bytes:
    return drawing.encoded(drawing.textured(seed), kind, **options)


def save_image(name: str, data: bytes, **fields: Any) -> Any:
    file = ContentFile(data, name=f"{name}.{'png' if data.startswith(PNG) else 'jpg'}")
    return Image.objects.create(name=name, original_filename=file.name, file=file, **FIELDS, **fields)


def make_page(title: str, image: Any, language: str = "en") -> Any:
    """Return a published page with the plug-in."""
    page = create_page(title, "site/page.html", language, slug=title.lower())
    placeholder = page.get_content_obj(language).get_placeholders().get(slot="content")
    add_plugin(placeholder, "SimilarImagesPlugin", language, title="More like this", image=image, limit=6)
    return page


class FilerTest(TestCase):
    """Tests with an open folder, and a private one with another in it."""

    @classmethod
    def setUpTestData(cls) -> None:
        cls.library = Folder.objects.create(name="Library")
        cls.private = Folder.objects.create(name="Private")
        cls.inner = Folder.objects.create(name="Inner", parent=cls.private)
        cls.admin = User.objects.create_superuser("admin")

    def setUp(self) -> None:
        cache.clear()  # which has the folders that users may read

    def save(self, seed: int, name: str, folder: Any = None, *, quality: int = 0, **fields: Any) -> Any:
        kind, options = ("JPEG", {"quality": quality}) if quality else ("PNG", {})
        return save_image(name, encoded(seed, kind, **options), folder=folder or self.library, **fields)

    def editor(self, name: str, *permissions: str, **folders: Any) -> User:
        """Return one of the staff with permissions of the model, and on folders: `read=folder`, `edit=folder`."""
        user = User.objects.create_user(name, is_staff=True)
        codenames = ["can_use_directory_listing", "add_file", "change_folder", *permissions]
        user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
        for action, folder in folders.items():
            self.allow(user, folder, *(["edit", "add_children"] if action == "edit" else [action]))
        return user

    def allow(self, user: User, folder: Any, *actions: str) -> FolderPermission:
        allowed = {f"can_{action}": FolderPermission.ALLOW for action in actions}
        cache.clear()
        return FolderPermission.objects.create(folder=folder, user=user, type=FolderPermission.CHILDREN, **allowed)
