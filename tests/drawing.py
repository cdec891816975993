"""Pictures drawn in code."""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image, ImageDraw


def scene(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A picture of colored shapes, another one for every seed."""
    rng = random.Random(seed)

    def color() -> tuple[int, int, int]:
        return rng.randrange(256), rng.randrange(256), rng.randrange(256)

    image = Image.new("RGB", size, color())
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        box = (x, y, x + rng.randrange(10, 80), y + rng.randrange(10, 80))
        getattr(draw, rng.choice(["ellipse", "rectangle"]))(box, fill=color(), outline=color(), width=3)
    return image


def textured(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A scene with detail everywhere, so that there are keypoints."""
    detail = np.random.default_rng(seed).integers(0, 255, (30, 40, 3), np.uint8)
    return Image.blend(scene(seed, size), Image.fromarray(detail).resize(size, Image.Resampling.BICUBIC), 0.4)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def file(seed: int = 0, name: str = "", **options: Any) -> ContentFile[bytes]:
    """A file as a model's field takes it."""
    return ContentFile(encoded(scene(seed, **options)), name=name or f"scene{seed}.png")


def upload(seed: int = 1, data: bytes | None = None) -> SimpleUploadedFile:
    """A file as a form takes it: a scene, or these data."""
    return SimpleUploadedFile(f"scene{seed}.png", encoded(scene(seed)) if data is None else data)
