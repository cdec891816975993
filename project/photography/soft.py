"""Products of fabric: sofas, cushions, rugs, towels."""

from __future__ import annotations

import numpy as np

from project.photography import materials, meshes
from project.photography.built import grained
from project.photography.composition import Part, move, turn
from project.photography.materials import Material
from project.photography.meshes import Mesh
from project.photography.textures import Color, Image


def padded(width: float, depth: float, height: float, radius: float, bulge: float) -> Mesh:
    return meshes.box(width, depth, height, radius, bulge=bulge, steps=20).wrap(22, 22)


def sofa(cloth: Material, timber: Material, *, seats: int = 3, arm: str = "block") -> list[Part]:
    """Return a sofa, or an armchair where it has one seat; arms are "block", "round", "slope" or "wood"."""
    seat = 62.0 if seats > 1 else 66
    inner = seats * seat
    is_wooden = arm == "wood"
    side = 5.0 if is_wooden else 17
    parts = []
    for x in (-inner / 2 - side / 2 + 4, inner / 2 + side / 2 - 4):
        for y in (-34, 34):
            parts.append(Part(grained(meshes.rod((x * 1.01, y * 1.03, 0), (x, y, 20), 1.4, 2.4)), timber))
    parts.append(Part(padded(inner + (0 if is_wooden else 2 * side - 6), 82, 16, 4, 0.5).move(z=15), cloth))
    back = padded(inner + (0 if is_wooden else 2 * side - 8), 18, 54, 7, 1).turn("x", -6)
    parts.append(Part(back.move(y=33, z=24), cloth))
    for number in range(seats):
        x = (number - (seats - 1) / 2) * seat
        parts.append(Part(padded(seat - 0.6, 68, 17, 5, 2.2).move(x=x, y=-9, z=30), cloth))
        parts.append(Part(padded(seat - 2, 17, 40, 6.5, 4.5).turn("x", -14).move(x=x, y=16, z=45), cloth))
    for sign in (-1, 1):
        x = sign * (inner / 2 + side / 2)
        if is_wooden:
            path = [(x, -38, 1), (x, -37, 58), (x, 36, 60), (x, 40, 1)]
            parts.append(Part(grained(meshes.tube(meshes.corners(path, 9, 10), 2.2, flatness=1.3)), timber))
        elif arm == "round":
            parts.append(Part(padded(side - 2, 84, 38, 5, 0.5).move(x=x, z=16), cloth))
            roll = meshes.tube(np.linspace((x + sign * 1.5, -42.5, 55), (x + sign * 1.5, 42, 55), 9), 11.5, segments=40)
            parts.append(Part(roll.wrap(22, 22), cloth))
        elif arm == "slope":
            parts.append(Part(padded(side, 84, 44, 7.5, 1).turn("x", 5).move(x=x, z=16), cloth))
        else:
            parts.append(Part(padded(side, 86, 47, 4.5, 0.7).move(x=x, z=15), cloth))
    return parts


def cushion(
    front: Material, *, width: float = 45, height: float = 45, has_tassels: Color = "", piping: Color = ""
) -> list[Part]:
    """Return a cushion that stands, leaning back a little."""
    mesh = meshes.pillow(width, height, 17)
    uvs = mesh.vertices[:, :2] / (width, height) + 0.5
    parts = [Part(Mesh(mesh.vertices, mesh.normals, uvs, mesh.faces), front)]
    grid = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 40))
    one = np.stack([grid * width / 2, np.full(40, -height / 2 * (1 - 0.07)), np.zeros(40)], axis=1)
    one[:, 1] = -height / 2 * (1 - 0.07 * (1 - grid**2))
    other = np.stack([np.full(40, width / 2), grid * height / 2, np.zeros(40)], axis=1)
    other[:, 0] = width / 2 * (1 - 0.07 * (1 - grid**2))
    seam = np.concatenate([one, other, one[::-1] * (1, -1, 1), other[::-1] * (-1, 1, 1)])
    seam += (0, 0, 8.5)
    if piping:
        parts.append(Part(meshes.tube(seam[::2], 0.55, segments=10).wrap(4, 4), materials.fabric(piping)))
    if has_tassels:
        random = np.random.default_rng(5)
        threads = []
        for x in (-1, 1):
            for y in (-1, 1):
                corner = np.array([x * width / 2, y * height / 2, 8.5])
                for _ in range(14):
                    out = np.array([x, y, 0]) * 4.5 + random.normal(0, 0.9, 3)
                    threads.append(meshes.rod(tuple(corner - (x * 0.8, y * 0.8, 0)), tuple(corner + out), 0.28, 0.2))
        parts.append(Part(meshes.join(*threads), materials.fabric(has_tassels)))
    stood = turn(parts, 76, "x")
    return move(stood, z=-min(float(part.mesh.vertices[:, 2].min()) for part in stood))


def rug(
    image: Image, width: float, depth: float, *, fringe: Color = "", is_round: bool = False, is_thick: bool = False
) -> list[Part]:
    """Return a rug on the floor; its image covers it once."""
    pile = materials.fabric(image, "pile", 0.5 if is_thick else 0.2, repeats=4)
    thick = 2.4 if is_thick else 1.1
    if is_round:
        disk = meshes.lathe(meshes.corners([(width / 2, 0), (width / 2, thick), (0.01, thick)], thick * 0.6))
        uvs = disk.vertices[:, :2] / width + 0.5
        return [Part(Mesh(disk.vertices, disk.normals, uvs, disk.faces), pile)]
    mesh = meshes.box(width, depth, thick, thick * 0.45, steps=40)
    uvs = mesh.vertices[:, :2] / (width, depth) + 0.5
    parts = [Part(Mesh(mesh.vertices, mesh.normals, uvs, mesh.faces), pile)]
    if fringe:
        random = np.random.default_rng(3)
        threads = []
        for x in np.linspace(-width / 2 + 0.8, width / 2 - 0.8, int(width / 2.2)):
            for sign in (-1, 1):
                start = (x, sign * depth / 2 * 0.998, 0.6)
                end = (x + random.normal(0, 0.5), sign * (depth / 2 + 7 + random.normal(0, 0.5)), 0.3)
                threads.append(meshes.rod(start, end, 0.5, 0.3))
        parts.append(Part(meshes.join(*threads), materials.fabric(fringe)))
    return parts


def towels(cloth: list[Material], *, width: float = 34, depth: float = 24) -> list[Part]:
    """Return a pile of folded towels, the first at the bottom."""
    parts, level = [], 0.0
    random = np.random.default_rng(8)
    for material in cloth:
        for layer in range(3):
            wide = width + random.uniform(-0.5, 0.5)
            mesh = meshes.box(wide, depth + random.uniform(-0.4, 0.4), 2.3, 1.05, bulge=0.25, steps=24).wrap(24, 24)
            parts.append(Part(mesh.move(x=random.uniform(-0.3, 0.3), z=level), material))
            level += 2.25 + 0.1 * layer
            if layer == 2:
                # The fold in front holds the layers together.
                bend = meshes.tube(
                    np.linspace(
                        (-wide / 2 + 0.3, -depth / 2 + 2, level - 3.5),
                        (wide / 2 - 0.3, -depth / 2 + 2, level - 3.5),
                        20,
                    ),
                    3.35,
                    segments=36,
                )
                # Stripes go on over the fold.
                uvs = np.stack([bend.vertices[:, 0], bend.uvs[:, 0]], axis=1) / 24
                parts.append(Part(Mesh(bend.vertices, bend.normals, uvs, bend.faces), material))
        level += 0.2
    return parts
