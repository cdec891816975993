"""Parts of a product, the camera that is aimed at it, and lamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mitsuba
import numpy as np

from project.photography.materials import Material
from project.photography.meshes import Array, Mesh

FIELD_OF_VIEW = 24
"""Degrees, of the longer side of the frame: that of a short telephoto lens, as product photographers use."""


@dataclass(frozen=True)
class Part:
    """A mesh of one material."""

    mesh: Mesh
    material: Material


@dataclass(frozen=True)
class Camera:
    """Where the camera stands, in degrees around the product (0 in front of it) and above the horizon."""

    around: float = 0
    above: float = 12
    fill: float = 0.8
    """Share of the frame that the product fills."""
    lift: float = 0
    """Share of the frame by which the product stands below the middle."""
    aperture: float = 0
    """Radius of the lens as a share of its distance; what is nearer or farther is blurred."""


Parts = Sequence[Part]


def bounds(parts: Parts) -> tuple[Array, Array]:
    low = np.min([part.mesh.vertices.min(axis=0) for part in parts], axis=0)
    high = np.max([part.mesh.vertices.max(axis=0) for part in parts], axis=0)
    return low, high


def move(parts: Parts, x: float = 0, y: float = 0, z: float = 0) -> list[Part]:
    return [Part(part.mesh.move(x, y, z), part.material) for part in parts]


def turn(parts: Parts, degrees: float, axis: str = "z") -> list[Part]:
    return [Part(part.mesh.turn(axis, degrees), part.material) for part in parts]


def aim(parts: Parts, camera: Camera, size: tuple[int, int]) -> dict[str, Any]:
    """Return a sensor that sees all parts, as large as the camera's fill says."""
    around, above = np.radians([camera.around, camera.above])
    back = np.array([np.sin(around) * np.cos(above), -np.cos(around) * np.cos(above), np.sin(above)])
    right = np.array([np.cos(around), np.sin(around), 0])
    up = np.cross(back, right)
    points = np.concatenate([part.mesh.vertices[:: max(1, len(part.mesh.vertices) // 400)] for part in parts])
    tangent = np.tan(np.radians(FIELD_OF_VIEW / 2)) * np.array(size) / max(size)
    center = (points.min(axis=0) + points.max(axis=0)) / 2
    distance = 1.0
    for _ in range(4):
        local = points - center
        x, y, z = local @ right, local @ up, local @ back
        distance = max((abs(x) / (tangent[0] * camera.fill) + z).max(), (abs(y) / (tangent[1] * camera.fill) + z).max())
        # The middle of what is seen goes to the middle of the frame.
        shift = [(np.max(axis / (distance - z)) + np.min(axis / (distance - z))) / 2 * distance for axis in (x, y)]
        center = center + right * shift[0] + up * shift[1]
    center = center + up * camera.lift * 2 * tangent[1] * distance
    origin = center + back * distance
    transform = mitsuba.ScalarTransform4f().look_at(origin.tolist(), center.tolist(), [0, 0, 1])
    sensor = {
        "type": "thinlens" if camera.aperture else "perspective",
        "fov": FIELD_OF_VIEW,
        "fov_axis": "larger",
        "near_clip": float(distance) / 100,
        "far_clip": float(distance) * 100,
        "to_world": transform,
        "film": {"type": "hdrfilm", "width": size[0], "height": size[1], "rfilter": {"type": "box"}},
        "sampler": {"type": "multijitter"},
    }
    if camera.aperture:
        sensor |= {"aperture_radius": float(camera.aperture * distance), "focus_distance": float(distance)}
    return sensor


def softbox(
    center: Sequence[float], target: Sequence[float], width: float, height: float, light: Sequence[float]
) -> Any:
    transform = mitsuba.ScalarTransform4f().look_at(list(center), list(target), [0, 0.01, 1])
    return {
        "type": "rectangle",
        "to_world": transform @ mitsuba.ScalarTransform4f().scale([width / 2, height / 2, 1]),
        "emitter": {"type": "area", "radiance": {"type": "rgb", "value": list(light)}},
    }


def ambient(light: Sequence[float]) -> dict[str, Any]:
    return {"type": "constant", "radiance": {"type": "rgb", "value": list(light)}}
