"""Products turned on a lathe: vases, bowls, mugs, bottles, lamps, candlesticks, planters, baskets."""

from __future__ import annotations

import numpy as np

from project.photography import materials, meshes, textures
from project.photography.composition import Part, move
from project.photography.materials import Material
from project.photography.meshes import Mesh, Point
from project.photography.textures import Color

Outline = list[Point]

SHOULDER: Outline = [(5, 0), (7.6, 7), (9.4, 15), (6.6, 22.5), (3.2, 26), (4.4, 30)]
BOTTLE_NECK: Outline = [(5.5, 0), (8.4, 4), (8.8, 9), (5.4, 15), (2.0, 20), (1.8, 27), (2.4, 30)]
CYLINDER: Outline = [(6.2, 0), (6.5, 1), (6.4, 12), (6.4, 23), (6.6, 25)]
MOON: Outline = [(4, 0), (8.6, 3.5), (11, 10), (8.8, 16.5), (4.2, 19.4), (4.4, 21)]
TULIP: Outline = [(4.5, 0), (5, 3), (5.4, 10), (7, 18), (9.5, 24)]


def vase(
    outline: Outline, outside: Material, inside: Color, *, ribs: int = 0, depth: float = 0.0, twist: float = 0
) -> list[Part]:
    outer, inner = meshes.vessel(meshes.curve(outline), 0.5, ribs=ribs, depth=depth, twist=twist, segments=144)
    return [Part(outer, outside), Part(inner, materials.ceramic(inside))]


def bowl(outside: Material, inside: Material, *, is_deep: bool = False, is_wooden: bool = False) -> list[Part]:
    outline: Outline = (
        [(4.6, 0), (4.8, 1), (8, 2.6), (11, 6), (12, 9.5)] if is_deep else [(5, 0), (9, 1.2), (13, 3.6), (15.5, 7)]
    )
    outer, inner = meshes.vessel(meshes.curve(outline), 0.55)
    if is_wooden:
        outer, inner = (mesh.project(0, 1, 40, 14) for mesh in (outer, inner))
    return [Part(outer, outside), Part(inner, inside)]


def mug(outside: Material, inside: Color, *, outline: Outline | None = None, rim: Color = "") -> list[Part]:
    points = outline or [(3.7, 0), (4.1, 0.6), (4.2, 3), (4.2, 7), (4.2, 9.3)]
    outer, inner = meshes.vessel(meshes.curve(points), 0.32)
    heights = [point[1] for point in points]
    top, radius = max(heights), float(np.interp(max(heights) / 2, heights, [point[0] for point in points]))
    loop = meshes.curve(
        [
            (radius - 0.3, 0, top * 0.82),
            (radius + 1.9, 0, top * 0.8),
            (radius + 2.7, 0, top * 0.5),
            (radius + 1.6, 0, top * 0.24),
            (radius - 0.4, 0, top * 0.2),
        ],
        10,
    )
    handle = meshes.tube(loop, 0.5, flatness=1.35)
    grip = Material(outside.image[-8:, :8], outside.roughness, clearcoat=outside.clearcoat)
    parts = [Part(outer, outside), Part(inner, materials.ceramic(inside)), Part(handle, grip)]
    if rim:
        angles = np.linspace(0, 2 * np.pi, 80)
        circle = (points[-1][0] - 0.16) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        path = np.concatenate([circle, np.full((80, 1), top + 0.05)], axis=1)
        parts.append(Part(meshes.tube(path, 0.24), materials.ceramic(rim)))
    return parts


WINE: Outline = [(3.6, 0), (3.9, 0.6), (3.9, 9), (3.8, 17), (1.6, 22), (1.4, 28), (1.6, 30)]
CARAFE: Outline = [(4.6, 0), (5.4, 1), (5.2, 8), (3, 15), (2.4, 20), (3.2, 24)]
APOTHECARY: Outline = [(4.2, 0), (4.6, 0.6), (4.6, 8), (4.5, 13), (1.8, 15.5), (1.7, 18), (2.2, 19)]


def bottle(outline: Outline, tint: Color, stopper: Material | None = None) -> list[Part]:
    curve = meshes.curve(outline)
    parts = [Part(meshes.join(*meshes.vessel(curve, 0.28)), materials.glass(tint))]
    if stopper:
        radius, top = outline[-1]
        parts.append(
            Part(
                meshes.lathe(
                    meshes.corners(
                        [
                            (0.01, top - 1.6),
                            (radius * 0.7, top - 1.6),
                            (radius * 0.72, top),
                            (radius * 1.1, top + 0.1),
                            (radius * 1.1, top + 1.6),
                            (0.01, top + 1.6),
                        ]
                    )
                ),
                stopper,
            )
        )
    return parts


def shade(low: float, high: float, height: float) -> Mesh:
    return meshes.lathe(meshes.corners([(low - 0.3, 0.05), (low, 0), (high, height), (high - 0.3, height)], 0.1))


def lamp(
    base: list[Part], top: float, low: float, high: float, height: float, color: Color, glow: float = 0.42
) -> list[Part]:
    """Put a glowing shade, on a rod of brass, upon a base that ends at `top`."""
    cloth = Part(shade(low, high, height).move(z=top + 2), materials.shine(color, glow))
    rod = Part(meshes.rod((0, 0, top - 1), (0, 0, top + height), 0.5), materials.metal("brass"))
    return [*base, rod, cloth]


def ceramic_lamp(outside: Material, color: Color = "#f5ead6") -> list[Part]:
    outline: Outline = [(6, 0), (8.5, 3), (9.6, 9), (7, 16), (2.4, 21), (1.4, 23)]
    outer, _ = meshes.vessel(meshes.curve(outline), 0.4)
    return lamp([Part(outer, outside)], 23, 17, 11, 19, color)


def stick_lamp(kind: str, color: Color) -> list[Part]:
    profile: Outline = [
        (0.01, 0),
        (8, 0),
        (8, 2),
        (4, 3.4),
        (3, 6),
        (4.6, 10),
        (3, 13.5),
        (4, 16),
        (2, 19),
        (1.4, 24),
        (0.01, 24),
    ]
    foot = meshes.lathe(meshes.corners(profile, 0.9)).project(2, 0, 30, 12)
    return lamp([Part(foot, materials.wood(kind, 4))], 24, 17, 11, 19, color)


def dome_lamp(color: Color) -> list[Part]:
    coat = materials.powder_coat(color)
    foot = meshes.lathe(meshes.corners([(0.01, 0), (9, 0), (9, 1.6), (0.9, 2), (0.8, 30), (0.01, 30)], 0.5))
    dome = meshes.lathe(meshes.curve([(13.5, 0), (13, 4.5), (9.5, 9), (4, 11.5), (0.01, 12)])).move(z=26)
    bulb = meshes.lathe(meshes.curve([(0.01, 0), (3.4, 3), (0.01, 6)])).move(z=27)
    return [Part(foot, coat), Part(dome, coat), Part(bulb, materials.shine("#fff1d6", 6))]


def candlestick(profile: Outline, material: Material, candle: Color, *, height: float = 20) -> list[Part]:
    top = max(point[1] for point in profile)
    stick = meshes.lathe(meshes.corners([*profile, (0.9, top - 0.5), (0.01, top - 1)], 0.35)).project(2, 0, 24, 8)
    wax = meshes.lathe(
        meshes.corners([(1.05, 0), (1.0, height), (0.25, height + 0.5), (0.01, height + 0.3)], 0.3)
    ).move(z=top - 1)
    wick = meshes.rod((0, 0, top + height - 0.8), (0.15, 0, top + height + 0.6), 0.09)
    return [
        Part(stick, material),
        Part(wax, Material(textures.rgb(candle)[None, None], 0.45)),
        Part(wick, materials.lacquer("#222222")),
    ]


BALUSTER: Outline = [
    (0.01, 0),
    (5, 0),
    (5, 1),
    (2, 2.2),
    (1.3, 4),
    (2.3, 7),
    (1.2, 10),
    (2.0, 12),
    (1.4, 14),
    (2.5, 15),
    (2.5, 16),
]
SLIM: Outline = [(0.01, 0), (5, 0), (5, 0.6), (0.8, 1.3), (0.6, 12), (0.6, 20), (1.7, 21), (1.7, 22.5)]
BEADS: Outline = [(0.01, 0), (4.4, 0), (4.6, 2.5), (2.2, 4), (3.4, 6), (2.0, 8), (2.9, 10), (1.8, 11.5), (2.2, 13)]


def leaves(
    count: int, height: float, seed: int, color: Color, width: float = 2.6, *, is_upright: bool = False
) -> list[Part]:
    """Return a plant that grows from the origin: stems that bend, and leaves along them."""
    random = np.random.default_rng(seed)
    stems, blades = [], []
    for number in range(count):
        angle = number * 2.4 + random.uniform(-0.3, 0.3)
        reach = height * (random.uniform(0.08, 0.2) if is_upright else random.uniform(0.3, 0.6))
        tall = height * random.uniform(0.7, 1)
        way = np.array([np.cos(angle), np.sin(angle), 0])
        tip = way * reach + (0, 0, tall)
        path = meshes.curve([(0, 0, 0), tuple(way * reach * 0.3 + (0, 0, tall * 0.6)), tuple(tip)], 6)
        if is_upright:
            blades.append(blade(path, width))
            continue
        stems.append(meshes.tube(path, 0.14, segments=8))
        for share in (0.45, 0.7, 1.0):
            start = path[int(share * (len(path) - 1))]
            for side in (-1, 1):
                turn = angle + side * random.uniform(0.5, 1.3)
                out = np.array([np.cos(turn), np.sin(turn), random.uniform(0.1, 0.7)])
                points = [start, start + out * width * 1.2, start + out * width * 2.2 - (0, 0, width * 0.5)]
                blades.append(blade(meshes.curve([tuple(point) for point in points], 6), width / 2))
    leaf = Material(textures.plain(color, seed, 0.3), roughness=0.45)
    parts = [Part(meshes.join(*blades), leaf)]
    if stems:
        parts.append(Part(meshes.join(*stems), Material(textures.plain("#5c6b3a", 2), roughness=0.6)))
    return parts


def blade(path: meshes.Array, width: float) -> Mesh:
    """Return a leaf along a path, folded a little along its middle."""
    share = np.linspace(0, 1, len(path))
    half = width * np.sin(np.pi * (0.06 + 0.94 * share) ** 0.8) ** 0.8
    side = np.cross(path[-1] - path[0], (0, 0, 1.0))
    side = side / max(1e-6, float(np.linalg.norm(side)))
    rows = [
        path - half[:, None] * side + (0, 0, 0.12) * half[:, None],
        path,
        path + half[:, None] * side + (0, 0, 0.12) * half[:, None],
    ]
    return meshes.surface(np.stack(rows, axis=1)).wrap(20, 20)


def planter(outside: Material, plant: list[Part], *, ribs: int = 0, depth: float = 0, has_legs: str = "") -> list[Part]:
    outline: Outline = [(6.4, 0), (7, 0.6), (8, 6), (8.9, 12), (9.1, 14)]
    outer, inner = meshes.vessel(meshes.curve(outline), 0.6, ribs=ribs, depth=depth, segments=160)
    soil = Part(meshes.disk(8.2).move(z=12).wrap(6, 6), Material(textures.plain("#3a2a20", 6, 0.9), roughness=1))
    parts = [Part(outer, outside), Part(inner, outside), soil, *move(plant, z=11.8)]
    if has_legs:
        legs = [
            meshes.rod((x * 8.6, y * 8.6, -10), (x * 7.4, y * 7.4, 8), 0.7, 0.9)
            for x, y in ((0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7))
        ]
        parts += [Part(leg.wrap(15, 15), materials.wood(has_legs)) for leg in legs]
    return move(parts, z=10) if has_legs else parts


def basket(light: Color, dark: Color, *, has_handles: bool = True, band: Color = "") -> list[Part]:
    """Return a basket of cane, whose rim and handles are rope."""
    image = textures.wicker(light, dark, 12)
    if band:
        image[110:210] = textures.wicker(band, dark, 12)[110:210]
    cane = Material(image, roughness=0.7, bumps=textures.weave(12), bump_height=0.25)
    outer, inner = meshes.vessel(meshes.curve([(14, 0), (16, 1.5), (18, 12), (17.5, 24), (17, 28)]), 0.8)
    angles = np.linspace(0, 2 * np.pi, 90)
    ring = np.stack([16.6 * np.cos(angles), 16.6 * np.sin(angles), np.full(90, 28.2)], axis=1)
    rope = Material(textures.wicker(light, dark, 24), roughness=0.8)
    parts = [Part(outer, cane), Part(inner, cane), Part(meshes.tube(ring, 0.9).wrap(4, 4), rope)]
    for side in (-1, 1) if has_handles else ():
        path = meshes.curve(
            [(side * 17, -5, 26), (side * 18, -4, 32), (side * 18.4, 0, 34.5), (side * 18, 4, 32), (side * 17, 5, 26)],
            8,
        )
        parts.append(Part(meshes.tube(path, 0.8).wrap(4, 4), rope))
    return parts
