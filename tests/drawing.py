"""Pictures drawn in code."""

from __future__ import annotations

import io
import random
from typing import Any

import cv2
import numpy as np
import pillow_heif
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image, ImageDraw

pillow_heif.register_heif_opener()


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


def shot_again(image: Image.Image) -> Image.Image:
    """The same things from a little aside: what is near moves more than what is far, so that no crop explains it."""
    pixels, rng = np.array(image), np.random.default_rng(0)
    height, width = pixels.shape[:2]
    shifts = (rng.normal(0, 0.01 * width, (4, 4)).astype(np.float32) for _axis in "xy")
    x_shift, y_shift = (cv2.resize(each, (width, height), interpolation=cv2.INTER_CUBIC) for each in shifts)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(pixels, x + x_shift, y + y_shift, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return Image.fromarray(np.asarray(moved, np.uint8))


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
