"""Render scenes with Mitsuba, remove their noise, and develop them to JPEG."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import mitsuba
import mitsuba_oidn
import numpy as np

from project.photography.composition import Camera, Part, aim
from project.photography.textures import Image

MAX_DEPTH = 5
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 86, cv2.IMWRITE_JPEG_OPTIMIZE, 1]


def render(
    parts: Sequence[Part],
    surroundings: Sequence[Part],
    lights: dict[str, Any],
    camera: Camera,
    size: tuple[int, int],
    samples: int,
) -> Image:
    """Return the picture (height, width, 3) of `parts`, which the camera aims at, as sRGB from 0 to 1."""
    with tempfile.TemporaryDirectory() as folder:
        scene: dict[str, Any] = {
            "type": "scene",
            "integrator": {
                "type": "aov",
                "aovs": "albedo:albedo,normals:sh_normal",
                "image": {
                    "type": "path",
                    "max_depth": MAX_DEPTH + 8 * any(part.material.is_glass for part in parts),
                    "rr_depth": 4,
                },
            },
            "sensor": aim(parts, camera, size),
            **lights,
        }
        for number, part in enumerate([*parts, *surroundings]):
            path = Path(folder) / f"{number}.ply"
            part.mesh.write(path)
            scene[f"part-{number}"] = {"type": "ply", "filename": str(path), "bsdf": part.material.describe()}
            if part.material.glow:
                glow = [float(c) ** 2.2 * part.material.glow for c in part.material.image[0, 0]]
                scene[f"part-{number}"]["emitter"] = {"type": "area", "radiance": {"type": "rgb", "value": glow}}
        layers: Image = np.array(mitsuba.render(mitsuba.load_dict(scene), spp=samples, seed=1))
    color, albedo, normals = (np.ascontiguousarray(layers[..., start : start + 3]) for start in (0, 3, 6))
    # A path that finds a lamp by chance through glass would leave a spark.
    color = np.minimum(color, 12)
    return develop(mitsuba_oidn.denoise(color, np.clip(albedo, 0, 1), normals, hdr=True))


def develop(light: Image, exposure: float = 1.18) -> Image:
    """Turn linear light into sRGB, with a soft shoulder instead of burned-out highlights."""
    light = np.clip(light * exposure, 0, None)
    light = np.where(light > 0.7, 0.7 + 0.3 * (1 - np.exp(-(light - 0.7) / 0.3)), light)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)


def save(image: Image, path: Path) -> None:
    pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)[..., ::-1]
    cv2.imwrite(str(path), pixels, JPEG)
