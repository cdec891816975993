"""Products that are built: chairs, stools, tables, shelves, clocks, frames."""

from __future__ import annotations

import itertools

import numpy as np

from project.photography import materials, meshes, textures
from project.photography.composition import Part, turn
from project.photography.materials import Material
from project.photography.meshes import Mesh, Point
from project.photography.textures import Color, Image


def board(width: float, depth: float, height: float, radius: float = 0.4) -> Mesh:
    """Return a board whose grain runs along its longest side."""
    mesh = meshes.box(width, depth, height, radius, steps=4)
    sides = sorted(range(3), key=lambda axis: -(width, depth, height)[axis])
    # Lengthwise along u; the other two sides together along v, so that no face is smeared.
    u = mesh.vertices[:, sides[0]] / 70
    v = (mesh.vertices[:, sides[1]] + mesh.vertices[:, sides[2]]) / 24
    return Mesh(mesh.vertices, mesh.normals, np.stack([u, v], axis=1), mesh.faces)


def leg(start: Point, end: Point, low: float, high: float) -> Mesh:
    return meshes.rod(start, end, low, high).wrap(8, 60)


def grained(mesh: Mesh) -> Mesh:
    """Let the grain of a rod run along it."""
    return Mesh(mesh.vertices, mesh.normals, mesh.uvs[:, ::-1] / (60, 8), mesh.faces)


def legs(width: float, depth: float, height: float, splay: float, low: float, high: float) -> list[Mesh]:
    """Return four tapered legs that lean outward by `splay` centimeters."""
    result = []
    for x in (-1, 1):
        for y in (-1, 1):
            foot = (x * (width / 2 + splay), y * (depth / 2 + splay), 0)
            result.append(grained(meshes.rod(foot, (x * width / 2, y * depth / 2, height), low, high)))
    return result


def spindle_chair(timber: Material, seat: Material | None = None) -> list[Part]:
    """Return a chair with a curved top rail on spindles."""
    parts = [Part(mesh, timber) for mesh in legs(34, 32, 44, 4, 1.2, 1.8)]
    parts.append(Part(board(44, 43, 3.4, 1.6).move(z=43), seat or timber))
    angles = np.radians(np.linspace(-62, 62, 9))
    rail = []
    for number, angle in enumerate(angles):
        base = (19 * np.sin(angle), 19 * np.cos(angle) - 1, 46)
        tip = (23 * np.sin(angle), 20 * np.cos(angle) + 6, 80)
        rail.append(tip)
        parts.append(Part(grained(meshes.rod(base, tip, 0.75 if 0 < number < 8 else 1.1)), timber))
    bend = meshes.curve([tuple(point) for point in rail], 8)
    parts.append(Part(grained(meshes.tube(bend, 1.5, flatness=1.5)), timber))
    return parts


def ladder_chair(timber: Material, seat: Material) -> list[Part]:
    """Return a chair with slats across its back and a padded seat."""
    parts = [Part(grained(meshes.rod((x, -18, 0), (x, -18, 44), 1.4, 1.8)), timber) for x in (-19, 19)]
    for x in (-18, 18):
        path = meshes.curve([(x, 20, 0), (x, 18, 44), (x, 25, 88)], 8)
        parts.append(Part(grained(meshes.tube(path, 1.7)), timber))
    for z, depth in ((56, 19.6), (67, 21.2), (78, 23.2)):
        slat = meshes.curve([(-18, depth, z), (0, depth + 3.2, z), (18, depth, z)], 10)
        parts.append(Part(grained(meshes.tube(slat, 0.8, flatness=3.6)), timber))
    for y in (-18, 18):
        parts.append(Part(board(38, 2, 4.5).move(y=y, z=38), timber))
    for edge in (-18.5, 18.5):
        parts.append(Part(board(2, 36, 4.5).move(x=edge, z=38), timber))
        parts.append(Part(grained(meshes.rod((edge, -18, 20), (edge, 18, 20), 0.9)), timber))
    parts.append(Part(meshes.box(42, 41, 4.5, 2, bulge=1.4).move(z=42).wrap(18, 18), seat))
    return parts


def upholstered_chair(cloth: Material, timber: Material) -> list[Part]:
    """Return a dining chair with a padded seat and back."""
    parts = [Part(mesh, timber) for mesh in legs(36, 36, 40, 3, 1.1, 2.0)]
    parts.append(Part(meshes.box(48, 48, 9, 3.5, bulge=2).move(z=39).wrap(18, 18), cloth))
    back = meshes.box(46, 7, 42, 3.2, bulge=1.2).turn("x", -9).move(y=21, z=47)
    parts.append(Part(back.wrap(18, 18), cloth))
    return parts


def shell_chair(color: Color, timber: Material) -> list[Part]:
    """Return a molded shell on splayed legs."""
    down = meshes.curve([(-24, 44), (-20, 46.5), (-6, 44.5), (12, 43.5), (19, 47), (22, 58), (25, 72), (27, 80)], 10)
    across = np.linspace(-1, 1, 41)
    rows = []
    for number, (y, z) in enumerate(down):
        share = number / (len(down) - 1)
        width = 23 * (0.86 + 0.2 * np.sin(np.pi * min(1, share * 1.25))) * (1 - 0.28 * max(0, share - 0.8) / 0.2)
        wing = 6.5 * np.sin(np.pi * min(1, share * 1.1)) * abs(across) ** 3
        rows.append(
            np.stack(
                [
                    across * width,
                    y - wing * 0.9 * (share > 0.45) * min(1, (share - 0.45) * 4),
                    z + wing * (share <= 0.75) * 0.9,
                ],
                axis=1,
            )
        )
    front = np.asarray(rows)
    top = meshes.surface(front)
    back = meshes.surface((front - (0, -0.4, 0.9))[:, ::-1])
    edge_points = np.concatenate([front[:, 0], front[-1], front[::-1, -1], front[0, ::-1]])[::2]
    edge = meshes.tube(edge_points - (0, -0.2, 0.4), 0.6, segments=10)
    coat = Material(materials.as_image(color), roughness=0.35)
    parts = [Part(top, coat), Part(back, coat), Part(edge, coat)]
    parts += [Part(mesh, timber) for mesh in legs(22, 22, 44, 11, 1.0, 1.6)]
    return parts


def stool(timber: Material, seat: Material | None = None, height: float = 46) -> list[Part]:
    """Return a round stool, padded where the seat is of cloth."""
    parts = []
    for angle in np.radians([45, 135, 225, 315]):
        foot = (20 * np.cos(angle), 20 * np.sin(angle), 0)
        top = (12 * np.cos(angle), 12 * np.sin(angle), height - 1)
        parts.append(Part(grained(meshes.rod(foot, top, 1.1, 1.6)), timber))
    angles = np.radians(np.linspace(45, 405, 5))
    reach, level = 17.2, height * 0.35
    ring = [(reach * np.cos(angle), reach * np.sin(angle), level) for angle in angles]
    parts += [Part(grained(meshes.rod(one, other, 0.8)), timber) for one, other in itertools.pairwise(ring)]
    thick = 7 if seat else 3.2
    profile = meshes.corners(
        [(0.01, 0), (16.5, 0), (17, thick), (0.01, thick + (1.5 if seat else 0))], 2.6 if seat else 1
    )
    mesh = meshes.lathe(profile)
    parts.append(Part((mesh.wrap(16, 16) if seat else mesh.project(0, 1, 60, 22)).move(z=height - 2), seat or timber))
    return parts


def round_table(top: Material, base: Material, radius: float = 25, height: float = 50) -> list[Part]:
    """Return a side table on a column."""
    profile = meshes.corners([(0.01, 0), (radius - 0.6, 0), (radius, 1), (radius, 2.4), (0.01, 2.4)], 0.5)
    foot = meshes.lathe(
        meshes.corners(
            [
                (0.01, 0),
                (radius * 0.66, 0),
                (radius * 0.66, 1.4),
                (2.2, 2.6),
                (1.8, height - 4),
                (5, height),
                (0.01, height),
            ],
            1.2,
        )
    )
    return [
        Part(meshes.lathe(profile).project(0, 1, 60, 34).move(z=height), top),
        Part(foot.project(2, 0, 60, 20), base),
    ]


def coffee_table(top: Material, base: Material, *, has_shelf: bool = True) -> list[Part]:
    parts = [Part(board(105, 58, 3.4, 0.8).move(z=39), top)]
    parts += [Part(mesh, base) for mesh in legs(88, 42, 39.5, 2, 1.5, 2.4)]
    if has_shelf:
        parts.append(Part(board(86, 40, 1.8).move(z=15), top))
    return parts


def trestle_table(top: Material, base: Material) -> list[Part]:
    """Return a desk on two frames of steel."""
    parts = [Part(board(130, 64, 3, 0.5).move(z=71), top)]
    for x in (-52, 52):
        path = [(x, -27, 0.9), (x, -27, 70), (x, 27, 70), (x, 27, 0.9), (x, -27, 0.9)]
        parts.append(Part(meshes.tube(meshes.corners(path, 2), 1.1), base))
    parts.append(Part(meshes.rod((-52, 20, 66), (52, 20, 66), 0.8), base))
    return parts


def books(count: int, seed: int, height: float = 22, width: float = 24) -> list[Part]:
    """Return books that stand in a row to the right of the origin, the last ones leaning."""
    random = np.random.default_rng(seed)
    colors = ["#e9e2d2", "#b9583d", "#3e5a6e", "#d8b878", "#6d7f62", "#f2efe6", "#2f3a44", "#c98f7a"]
    parts, x = [], 0.0
    for _ in range(count):
        thick, tall = random.uniform(1.6, 3.8), height * random.uniform(0.75, 1)
        if x + thick > width:
            break
        book = meshes.box(thick, 15, tall, 0.25, steps=3).move(x=x + thick / 2)
        parts.append(Part(book, materials.lacquer(str(random.choice(colors)))))
        x += thick + 0.1
    return parts


def stack(seed: int, count: int = 3) -> list[Part]:
    """Return books that lie upon each other."""
    return list(turn([Part(part.mesh.turn("y", 90), part.material) for part in books(count, seed, 24, 40)], 8))


def bookcase(
    timber: Material, *, rows: int = 4, width: float = 80, step: float = 36, has_back: bool = True
) -> list[Part]:
    tall = rows * step + 4
    parts = [Part(board(2.4, 30, tall).move(x=x), timber) for x in (-width / 2, width / 2)]
    parts += [Part(board(width, 30, 2.4).move(z=3 + row * step), timber) for row in range(rows)]
    parts.append(Part(board(width + 2.4, 30, 2.4).move(z=tall - 1), timber))
    if has_back:
        parts.append(Part(board(width, 0.8, tall - 4).move(y=14.6, z=3), timber))
    for row in range(rows):
        goods = books(9, row * 7 + rows, min(24, step - 8), 28)
        shift = (-width / 2 + 3, -width / 8, width / 2 - 31)[row % 3]
        parts += [Part(part.mesh.move(x=shift, z=5.4 + row * step), part.material) for part in goods]
    return parts


def clock(face: Image, rim: Material, hands: Color, *, radius: float = 15, rim_width: float = 1.4) -> list[Part]:
    """Return a wall clock in the plane of x and z that faces the camera; it reads ten past ten."""
    disk = meshes.disk(radius)
    disk = Mesh(disk.vertices, disk.normals, disk.uvs / (2 * radius) + 0.5, disk.faces)
    angles = np.linspace(0, 2 * np.pi, 120)
    ring = np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(120, 0.3)], axis=1)
    case = meshes.lathe([(radius + rim_width * 0.7, -3), (radius + rim_width * 0.7, 0)])
    parts = [Part(disk, Material(face, 0.4)), Part(meshes.tube(ring, rim_width).wrap(30, 8), rim), Part(case, rim)]
    ink = materials.lacquer(hands)
    for degrees, length, width in ((55, 0.5, 0.75), (-60, 0.76, 0.5)):
        hand = meshes.box(width, radius * length, 0.25, 0.1, steps=3).move(y=radius * length / 2 - 1.5, z=0.5)
        parts.append(Part(hand.turn("z", -degrees), ink))
    parts.append(Part(meshes.lathe([(0.9, 0.5), (0.9, 1), (0.01, 1.1)]), ink))
    return turn([Part(part.mesh, part.material) for part in parts], 90, "x")


def frame(
    picture: Image, border: Material, width: float, height: float, *, bar: float = 2.2, mat: float = 5
) -> list[Part]:
    """Return a picture in a mat and a frame, in the plane of x and z, that faces the camera."""
    parts = []
    for size, level, material in (
        ((width, height), 0.0, Material(textures.plain("#f7f5ef", 1, 0.03), 0.8)),
        ((width - 2 * mat, height - 2 * mat), 0.15, Material(picture, 0.6)),
    ):
        mesh = meshes.sheet(*size).move(z=level)
        uvs = mesh.vertices[:, :2] / size + 0.5
        parts.append(Part(Mesh(mesh.vertices, mesh.normals, uvs, mesh.faces), material))
    for sign in (-1, 1):
        parts.append(Part(board(width + 2 * bar, bar, 2.4, 0.25).move(y=sign * (height + bar) / 2, z=-0.8), border))
        parts.append(Part(board(bar, height, 2.4, 0.25).move(x=sign * (width + bar) / 2, z=-0.8), border))
    return turn(parts, 90, "x")
