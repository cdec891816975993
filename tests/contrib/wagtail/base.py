"""A site with Wagtail for tests: collections, images, and editors."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.core.files.base import ContentFile
from django.test import TestCase
from wagtail.images import get_image_model
from wagtail.models import Collection, GroupCollectionPermission, Locale

from similar_images.indexing import claims, worker
from tests import drawing

Image: Any = get_image_model()
IS_CUSTOM = settings.IMAGE_MODEL != "wagtailimages.Image"
FIELDS = {"credit": "Ada"} if IS_CUSTOM else {}
HIDDEN, MISSING = 7654301, 7654302
"""Keys of an image that is not to be seen, and of none."""
PREFIX = "/api/similar-images"
API = f"{PREFIX}/{Image._meta.label_lower}"


def index_now() -> None:
    while records := claims.claim_batch():
        worker.index_records(records)


def encoded(seed: int, kind: str = "PNG", **options: Any) -> bytes:
    return drawing.encoded(drawing.textured(seed), kind, **options)


def normalized(answer: Any, key: Any) -> str:
    """Return a page without the key that was asked for, and without what differs from one request to another."""
    tokens = r"\b[A-Za-z0-9]{64}\b|[\w-]+(:|%3A)[\w-]{6}(:|%3A)[\w-]{43}"  # against forged requests, and of uploads
    return re.sub(tokens, "TOKEN", answer.content.decode()).replace(str(key), "KEY")


class WagtailTest(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        Locale.objects.create(language_code="en")
        cls.root = Collection.add_root(name="Root")
        cls.private = cls.root.add_child(name="Private")
        cls.inner = cls.private.add_child(name="Inner")
        cls.admin = User.objects.create_superuser("admin")

    def save(self, seed: int, title: str, collection: Any = None, **options: Any) -> Any:
        """Save an image; two of the same seed look the same, and `pk` makes a key that is found in no other number."""
        kind, fields = options.pop("kind", "PNG"), {"pk": options.pop("pk", None), **FIELDS}
        file = ContentFile(encoded(seed, kind, **options), name=f"{title}.{kind.lower()}")
        return Image.objects.create(title=title, file=file, collection=collection or self.root, **fields)

    def editor(self, name: str, *permissions: str, collection: Any = None) -> User:
        """Return an editor who is no staff, with permissions on the images of a collection."""
        user = User.objects.create_user(name)
        group = Group.objects.create(name=name)
        group.permissions.add(Permission.objects.get(codename="access_admin"))
        for codename in permissions:
            permission = Permission.objects.get(codename=f"{codename}_image", content_type__app_label="wagtailimages")
            GroupCollectionPermission.objects.create(
                group=group, collection=collection or self.root, permission=permission
            )
        user.groups.add(group)
        return user
