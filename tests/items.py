"""Objects of the test app, and those that searches found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.core.files.base import ContentFile
from PIL import Image

from tests import drawing
from tests.testapp.models import Picture

if TYPE_CHECKING:
    from similar_images import Match


def gray(level: int, **fields: Any) -> Picture:
    """A picture of one gray: by its mean color, levels far apart are unlike."""
    return save(Image.new("RGB", (8, 8), (level,) * 3), str(level), **fields)


def save(image: Image.Image, title: str, kind: str = "PNG", quality: int | None = None, **fields: Any) -> Picture:
    options = {} if quality is None else {"quality": quality}
    file = ContentFile(drawing.encoded(image, kind, **options), name=f"{title}.{kind.lower()}")
    return Picture.objects.create(image=file, title=title, **fields)


def key(item: Any) -> str:
    """What an object is called where two pictures are compared."""
    return f"{item._meta.label_lower}:{item.pk}"


def objects(matches: Iterable[Match]) -> list[Any]:
    return [match.object for match in matches]
