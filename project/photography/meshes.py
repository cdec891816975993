"""Triangle meshes of the surfaces that products are made of, in centimeters, with z up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Point = tuple[float, ...]


@dataclass(frozen=True)
class Mesh:
    """Vertices (n, 3), normals (n, 3), texture coordinates in centimeters (n, 2), and triangles (m, 3)."""

    vertices: Array
    normals: Array
    uvs: Array
    faces: NDArray[np.int32]

    def move(self, x: float = 0, y: float = 0, z: float = 0) -> Mesh:
        return replace(self, vertices=self.vertices + np.array([x, y, z]))

    def turn(self, axis: str, degrees: float) -> Mesh:
        """Rotate around the axis x, y or z through the origin."""
        angle = np.radians(degrees)
        first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        matrix = np.eye(3)
        matrix[first, first] = matrix[second, second] = np.cos(angle)
        matrix[second, first], matrix[first, second] = np.sin(angle), -np.sin(angle)
        return replace(self, vertices=self.vertices @ matrix.T, normals=self.normals @ matrix.T)

    def scale(self, x: float, y: float, z: float) -> Mesh:
        normals = self.normals / (x, y, z)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return replace(self, vertices=self.vertices * (x, y, z), normals=normals)

    def wrap(self, u: float, v: float) -> Mesh:
        """Stretch the texture to repeat every `u` by `v` centimeters."""
        return replace(self, uvs=self.uvs / (u, v))

    def unroll(self, height: float, turns: int = 0) -> Mesh:
        """Lay the texture around z, `turns` times or as keeps its proportions, and once over a height in cm."""
        around = float(self.uvs[:, 0].max())
        turns = turns or max(1, round(around / height))
        return replace(
            self, uvs=np.stack([self.uvs[:, 0] / around * turns, self.vertices[:, 2] / height * 0.97], axis=1)
        )

    def project(self, first: int, second: int, u: float, v: float) -> Mesh:
        """Lay the texture flat through the mesh along two axes (0 to 2), as grain goes through wood."""
        return replace(self, uvs=self.vertices[:, [first, second]] / (u, v))

    def write(self, path: Path) -> None:
        """Write a binary PLY file."""
        fields = [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz", "u", "v")]
        header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(self.vertices)}"]
        header += [f"property float {name}" for name, _ in fields]
        header += [f"element face {len(self.faces)}", "property list uchar int vertex_indices", "end_header", ""]
        vertices = np.concatenate([self.vertices, self.normals, self.uvs], axis=1).astype("<f4")
        faces = np.empty(len(self.faces), dtype=[("count", "u1"), ("index", "<i4", 3)])
        faces["count"], faces["index"] = 3, self.faces
        path.write_bytes("\n".join(header).encode() + vertices.tobytes() + faces.tobytes())


def join(*meshes: Mesh) -> Mesh:
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uvs for mesh in meshes]),
        np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]).astype(np.int32),
    )


def surface(points: Array, *, is_closed: bool = False) -> Mesh:
    """Span a grid of points (rows, columns, 3); its front is where columns × rows point. Closed: around the columns."""
    rows, columns, _ = points.shape
    down = np.gradient(points, axis=0)
    if is_closed:  # the last column is the first one again
        inner = points[:, :-1]
        across = np.roll(inner, -1, axis=1) - np.roll(inner, 1, axis=1)
        across = np.concatenate([across, across[:, :1]], axis=1)
    else:
        across = np.gradient(points, axis=1)
    normals = np.cross(across, down)
    lengths = np.linalg.norm(normals, axis=2, keepdims=True)
    for row, neighbor in ((0, 1), (-1, -2)):  # a pole has no direction of its own: take that of the ring beside it
        if lengths[row].max() < 1e-9:
            normals[row] = normals[neighbor].mean(axis=0)
            lengths[row] = np.linalg.norm(normals[row], axis=1, keepdims=True)
    normals = normals / np.maximum(lengths, 1e-12)
    steps_across = np.linalg.norm(np.diff(points, axis=1), axis=2).mean(axis=0)
    steps_down = np.linalg.norm(np.diff(points, axis=0), axis=2).max(axis=1)
    u, v = np.meshgrid(np.r_[0, np.cumsum(steps_across)], np.r_[0, np.cumsum(steps_down)])
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)]).astype(np.int32)
    uvs = np.stack([u.ravel(), v.ravel()], axis=1)
    return Mesh(points.reshape(-1, 3), normals.reshape(-1, 3), uvs, faces)


def curve(points: Sequence[Point], samples: int = 24) -> Array:
    """Draw a smooth curve through points (Catmull-Rom), `samples` a piece."""
    control = np.asarray(points, dtype=float)
    control = np.concatenate([[2 * control[0] - control[1]], control, [2 * control[-1] - control[-2]]])
    t = np.linspace(0, 1, samples, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(control, control[1:], control[2:], control[3:], strict=False):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate([*pieces, control[-2:-1]])


def corners(points: Sequence[Point], radius: float = 0.3, samples: int = 6) -> Array:
    """Draw a polyline whose corners are rounded."""
    control = np.asarray(points, dtype=float)
    t = np.linspace(0, 1, samples)[:, None]
    pieces = [control[:1]]
    for before, corner, after in zip(control, control[1:], control[2:], strict=False):
        to, on = before - corner, after - corner
        cut = min(radius, 0.45 * float(np.linalg.norm(to)), 0.45 * float(np.linalg.norm(on)))
        start, end = corner + to / np.linalg.norm(to) * cut, corner + on / np.linalg.norm(on) * cut
        pieces.append((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    return np.concatenate([*pieces, control[-1:]])


def lathe(profile: ArrayLike, *, ribs: int = 0, depth: float = 0, twist: float = 0, segments: int = 96) -> Mesh:
    """Turn a profile of (radius, height) around z, from below upward; ribs wave the radius by a share `depth`."""
    outline = np.asarray(profile, dtype=float)
    angles = np.linspace(0, 2 * np.pi, segments + 1)
    height = outline[:, 1:] / max(1e-9, np.ptp(outline[:, 1]))
    wave = 1 + depth * np.cos(ribs * angles + 2 * np.pi * twist * height) if ribs else np.ones((1, segments + 1))
    radius = outline[:, :1] * wave
    z = np.broadcast_to(outline[:, 1:], radius.shape)
    return surface(np.stack([radius * np.cos(angles), radius * np.sin(angles), z], axis=2), is_closed=True)


def vessel(outline: Array, wall: float = 0.4, **options: Any) -> tuple[Mesh, Mesh]:
    """Turn an outline, from the foot to the lip, into a vessel: its outside with foot and lip, and its inside."""
    foot = np.linspace((0.01, outline[0, 1]), outline[0], 6)[:-1]
    tangent = np.gradient(outline, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    inside = outline + wall * np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    inside = inside[(inside[:, 0] > 0.02) & (inside[:, 1] > outline[:, 1].min() + wall)][::-1]
    lip, first = outline[-1], inside[0]
    angle = np.linspace(0, np.pi, 7)[1:-1, None]
    middle, half = (lip + first) / 2, (lip - first) / 2
    rim = middle + half * np.cos(angle) + tangent[-1] * np.linalg.norm(half) * np.sin(angle)
    floor = np.linspace(inside[-1], (0.01, inside[-1, 1]), 6)[1:]
    height = float(np.ptp(outline[:, 1]))
    return (
        lathe(np.concatenate([foot, outline, rim]), **options).unroll(height),
        lathe(np.concatenate([rim[-1:], inside, floor]), **options).unroll(height),
    )


def tube(path: ArrayLike, radius: float | ArrayLike, *, flatness: float = 1, segments: int = 20) -> Mesh:
    """Sweep a circle, or an ellipse, along a path of points, and close its ends."""
    points = np.asarray(path, dtype=float)
    radii = np.broadcast_to(np.asarray(radius, dtype=float), len(points)).astype(float)
    tangents = np.gradient(points, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.cross(tangents[0], (0, 0, 1.0) if abs(tangents[0][2]) < 0.9 else (0, 1.0, 0))
    rings = []
    angles = np.linspace(0, 2 * np.pi, segments + 1)[:, None]
    ends = [(0, 0.02), *((number, 1.0) for number in range(len(points))), (len(points) - 1, 0.02)]
    for number, share in ends:
        side = side - tangents[number] * (side @ tangents[number])
        side /= np.linalg.norm(side)
        up = np.cross(tangents[number], side)
        size = radii[number] * share
        rings.append(points[number] + size * (np.cos(angles) * side + flatness * np.sin(angles) * up))
    return surface(np.asarray(rings), is_closed=True)


def rod(start: Point, end: Point, radius: float, end_radius: float | None = None) -> Mesh:
    """Return a straight, round rod, which may taper."""
    radii = np.linspace(radius, radius if end_radius is None else end_radius, 5)
    return tube(np.linspace(start, end, 5), radii)


def box(width: float, depth: float, height: float, radius: float = 0.3, *, bulge: float = 0, steps: int = 12) -> Mesh:
    """Return a box with rounded edges that stands on z = 0; `bulge` pads its faces, in centimeters."""
    half = np.array([width, depth, height]) / 2
    radius = min(radius, *half * 0.98)
    sides = []
    # Dense where the edge is round, sparse between.
    grid = np.r_[-1 - np.linspace(1, 0, 5)[:-1], np.linspace(-1, 1, steps), 1 + np.linspace(0, 1, 5)[1:]]
    for axis in range(3):
        others = [number for number in range(3) if number != axis]
        for sign in (-1, 1):
            a, b = np.meshgrid(grid, grid)
            cube = np.empty((*a.shape, 3))
            for number, values in zip(others, (a, b), strict=True):
                inner = half[number] - radius
                cube[..., number] = (
                    np.clip(values, -1, 1) * inner + np.sign(values) * np.clip(abs(values) - 1, 0, 1) * radius
                )
            cube[..., axis] = sign * half[axis]
            inner_point = np.clip(cube, -(half - radius), half - radius)
            normals = cube - inner_point
            normals /= np.linalg.norm(normals, axis=2, keepdims=True)
            points = inner_point + radius * normals
            if bulge:
                pad = np.prod([1 - (cube[..., number] / half[number]) ** 2 for number in others], axis=0)
                points[..., axis] += sign * bulge * np.clip(pad, 0, None) ** 0.8
            flip = (sign > 0) == (axis == 1)
            part = surface(points[:, ::-1] if flip else points)
            chosen = (normals[:, ::-1] if flip else normals).reshape(-1, 3)
            uv = (points[:, ::-1] if flip else points)[..., others].reshape(-1, 2)
            if bulge:  # at the edges the padding has no normal of its own
                weight = np.clip(4 * (pad[:, ::-1] if flip else pad).reshape(-1, 1), 0, 1)
                chosen = part.normals * weight + chosen * (1 - weight)
                chosen /= np.linalg.norm(chosen, axis=1, keepdims=True)
            sides.append(replace(part, normals=chosen, uvs=uv))
    return join(*sides).move(z=half[2])


def pillow(width: float, depth: float, thickness: float, steps: int = 48) -> Mesh:
    """Return a cushion that lies on z = 0: thin at the seam, with pointed corners."""
    grid = np.sin(np.linspace(-np.pi / 2, np.pi / 2, steps))
    a, b = np.meshgrid(grid, grid)
    swell = np.clip((1 - a**2) * (1 - b**2), 0, 1) ** 0.42
    x = a * (1 - 0.07 * (1 - b**2) * a**2) * width / 2
    y = b * (1 - 0.07 * (1 - a**2) * b**2) * depth / 2
    sides = []
    for sign in (1, -1):
        points = np.stack([x, y, sign * swell * thickness / 2], axis=2)
        part = surface(points if sign > 0 else points[:, ::-1])
        uv = (points if sign > 0 else points[:, ::-1])[..., :2].reshape(-1, 2)
        sides.append(replace(part, uvs=uv))
    return join(*sides).move(z=thickness / 2)


def sheet(width: float, depth: float, heights: ArrayLike | None = None, steps: int = 2) -> Mesh:
    """Return a level sheet around the origin, with heights (rows, columns) for waves."""
    z = np.zeros((steps, steps)) if heights is None else np.asarray(heights, dtype=float)
    a, b = np.meshgrid(np.linspace(-width / 2, width / 2, z.shape[1]), np.linspace(-depth / 2, depth / 2, z.shape[0]))
    return surface(np.stack([a, b, z], axis=2))


def disk(radius: float) -> Mesh:
    """Return a level disk whose texture is centered on it."""
    mesh = lathe([(radius, 0), (radius / 2, 0), (0.01, 0)])
    return replace(
        mesh, uvs=mesh.vertices[:, :2].copy(), normals=np.broadcast_to([0.0, 0, 1], mesh.vertices.shape).copy()
    )
