"""Objects of the test app, and the objects of matches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.core.files.base import ContentFile
from PIL import Image

from tests import drawing
from tests.testapp.models import Picture

if TYPE_CHECKING:
    from similar_images import Match


def save_gray(level: int, **fields: Any) -> Picture:
    """Save a picture of one gray level; by mean color, it is the less similar the more the levels differ."""
    return save_image(Image.new("RGB", (8, 8), (level,) * 3), str(level), **fields)


def save_image(
    image: Image.Image, title: str, file_format: str = "PNG", quality: int | None = None, **fields: Any
) -> Picture:
    """Save a picture whose file has the name and format given, in lower case."""
    options = {} if quality is None else {"quality": quality}
    content = drawing.encoded(image, file_format, **options)
    file = ContentFile(content, name=f"{title}.{file_format.lower()}")
    return Picture.objects.create(image=file, title=title, **fields)


def comparison_key(item: Any) -> str:
    """Return the text by which comparisons refer to an object: app_label.model:pk."""
    return f"{item._meta.label_lower}:{item.pk}"


def matched_objects(matches: Iterable[Match]) -> list[Any]:
    """Return the objects of matches, in their order."""
    return [match.object for match in matches]
