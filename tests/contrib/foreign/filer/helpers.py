"""What django-filer's tests make their objects with, which its source distribution lacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import User
from filer.models import Clipboard, ClipboardItem, Folder
from PIL import Image, ImageDraw


def create_superuser() -> Any:
    return User.objects.create_superuser("admin", "admin@example.com", "secret")


def create_image(mode: str = "RGB", size: tuple[int, int] = (800, 600)) -> Image.Image:
    image = Image.new(mode, size)
    draw = ImageDraw.Draw(image)
    for x in range(0, size[0], 50):
        draw.rectangle((x, x % size[1], x + 20, x % size[1] + 20), fill="red" if mode == "RGB" else 1)
    return image


def create_folder_structure(depth: int = 2, sibling: int = 2, parent: Any = None) -> None:
    """Make `sibling` folders of each depth below the given one, each with folders of all smaller depths."""
    for level in range(depth):
        for number in range(sibling):
            folder = Folder.objects.create(name=f"level {level}, number {number}", parent=parent)
            create_folder_structure(level, sibling, folder)


def create_clipboard_item(user: Any, file_obj: Any) -> ClipboardItem:
    clipboard, _is_new = Clipboard.objects.get_or_create(user=user)
    return ClipboardItem(clipboard=clipboard, file=file_obj)


@contextmanager
def SettingsOverride(settings: Any, **values: Any) -> Iterator[None]:  # noqa: N802 - as the tests call it
    before = {name: getattr(settings, name, None) for name in values}
    try:
        for name, value in values.items():
            setattr(settings, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(settings, name, value)
