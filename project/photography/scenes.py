"""Where products stand: a studio, a table, a room, a wall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from project.photography import built, materials, meshes, prints, soft, textures, turned
from project.photography.composition import Part, Parts, ambient, bounds, move, softbox, turn
from project.photography.materials import Material

Setting = tuple[list[Part], dict[str, Any]]
"""What stands around a product, and the lights."""


def studio(parts: Parts, color: str = "#f4f2ee") -> Setting:
    """Return a seamless backdrop, a large soft box at the left, and a strip at the right."""
    low, high = bounds(parts)
    reach = float(np.linalg.norm(high - low)) / 2
    middle = ((low + high) / 2).tolist()
    far = 3.2 * reach
    floor = np.stack([np.zeros(20), np.linspace(-30 * reach, far, 20), np.zeros(20)], axis=1)
    angle = np.linspace(0, np.pi / 2, 24)[1:, None]
    bend = np.array([0, far, reach * 1.6]) + 1.6 * reach * np.concatenate(
        [0 * angle, np.sin(angle), -np.cos(angle)], axis=1
    )
    wall = np.stack([np.zeros(8), np.full(8, bend[-1, 1]), np.linspace(bend[-1, 2], 14 * reach, 9)[1:]], axis=1)
    path = np.concatenate([floor, bend, wall])
    wide = np.stack([path + np.array([shift, 0, low[2]]) for shift in (-24 * reach, 0, 24 * reach)], axis=1)
    backdrop = Part(meshes.surface(wide), Material(materials.as_image(color), specular=0))
    lights = {
        "key": softbox(
            (middle[0] - 3.2 * reach, middle[1] - 2.6 * reach, middle[2] + 3.4 * reach),
            middle,
            3 * reach,
            3 * reach,
            [5.2, 5.1, 4.9],
        ),
        "strip": softbox(
            (middle[0] + 3.4 * reach, middle[1] - 1.2 * reach, middle[2] + 1.2 * reach),
            middle,
            0.9 * reach,
            3.6 * reach,
            [2.0, 2.05, 2.1],
        ),
        "top": softbox(
            (middle[0], middle[1] + 1.5 * reach, middle[2] + 5.5 * reach),
            (middle[0], far, middle[2]),
            4 * reach,
            4 * reach,
            [1.7] * 3,
        ),
        "sky": ambient([0.5, 0.5, 0.51]),
    }
    return [backdrop], lights


@dataclass(frozen=True)
class Decor:
    """What the rooms of a catalog have in common: the colors of wall, floor, and table, and what stands around."""

    wall: str = "#e8e0d4"
    timber: str = "oak"
    seed: int = 0


def sunlight(parts: Parts, strength: float = 2.6) -> Setting:
    """Return the sun through a window with bars, from the left, and the light of the sky."""
    low, high = bounds(parts)
    reach = float(np.linalg.norm(high - low)) / 2
    middle = (low + high) / 2
    way = np.array([0.72, 0.5, -0.46])
    way /= np.linalg.norm(way)
    width = 2.6 * reach
    bars = [
        meshes.box(width * 1.1, 0.02, width * 0.09, 0.01, steps=2).move(z=z * width) for z in (-0.7, -0.25, 0.2, 0.65)
    ]
    bars += [
        meshes.box(width * 0.09, 0.02, width * 1.4, 0.01, steps=2).move(x=x * width, z=-0.7 * width)
        for x in (-0.5, 0, 0.5)
    ]
    window = meshes.join(*bars).turn("z", -55).move(*(middle - way * 5.5 * reach))
    lights = {
        "sun": {
            "type": "directional",
            "direction": way.tolist(),
            "irradiance": {"type": "rgb", "value": [strength, strength * 0.9, strength * 0.74]},
        },
        "window": softbox(
            (middle + reach * np.array([-5, 0.5, 1])).tolist(), middle.tolist(), 3 * reach, 3 * reach, [1.6, 1.7, 1.8]
        ),
        "sky": ambient([0.5, 0.51, 0.53]),
    }
    return [Part(window, Material(materials.as_image("#ffffff"), specular=0))], lights


def plane(width: float, depth: float, material: Material, tile: tuple[float, float]) -> Part:
    mesh = meshes.sheet(width, depth)
    return Part(meshes.Mesh(mesh.vertices, mesh.normals, mesh.vertices[:, :2] / tile, mesh.faces), material)


def tabletop(parts: Parts, decor: Decor) -> Setting:
    """Return a table before a wall, with books and a plant in the background."""
    low, high = bounds(parts)
    size = float(np.linalg.norm(high - low)) / 2
    grow = max(1.0, size / 16)
    light, dark = materials.WOODS[decor.timber]
    table = plane(
        400 * grow,
        150 * grow,
        Material(textures.wood(light, dark, decor.seed + 11), roughness=0.35),
        (90 * grow, 45 * grow),
    )
    wall_y = float(high[1]) + 26 * grow
    wall = turn([plane(900 * grow, 500 * grow, materials.plaster(decor.wall), (120, 120))], 90, "x")
    table = Part(table.mesh.move(y=wall_y - 75 * grow, z=float(low[2])), table.material)
    pile = move(
        turn(built.stack(decor.seed + 2, 3), -12),
        x=-float(high[0]) * 1.2 - 19 * grow,
        y=wall_y - 15 * grow,
        z=float(low[2]),
    )
    pot = turned.planter(materials.stoneware("#b9ab98"), turned.leaves(8, 24, decor.seed + 1, "#56703f"))
    pot = [
        Part(
            part.mesh.scale(*[0.8 * grow] * 3).move(
                float(high[0]) * 1.15 + 14 * grow, wall_y - 12 * grow, float(low[2])
            ),
            part.material,
        )
        for part in pot
    ]
    bars, lights = sunlight(parts)
    props = (pot, pile, [*pot, *pile])[decor.seed % 3]
    return [table, *move(wall, y=wall_y), *props, *bars], lights


def room(parts: Parts, decor: Decor, *, has_rug: bool = True, furniture: Parts = ()) -> Setting:
    """Return a floor of boards and a wall with a skirting, a print, and a plant beside the product."""
    low, high = bounds(parts)
    wall_y = float(high[1]) + 14
    wide = float(high[0] - low[0])
    light, dark = materials.WOODS[decor.timber]
    floor = plane(1200, 900, Material(textures.planks(light, dark, decor.seed), roughness=0.4), (110, 220))
    floor = Part(floor.mesh.move(y=wall_y - 450), floor.material)
    wall = turn([plane(1600, 900, materials.plaster(decor.wall), (200, 200))], 90, "x")
    skirting = Part(meshes.box(1200, 1.6, 9, 0.4, steps=2).move(y=wall_y - 0.8), materials.lacquer("#f3f1ec"))
    result = [floor, *move(wall, y=wall_y), skirting, *furniture]
    if float(high[2]) < 110:
        picture = prints.arches(("#e9e0cf", "#c77b52", "#54695c", "#2f3b45"), decor.seed)
        art = built.frame(picture, materials.wood("oak"), 44, 56)
        result += move(art, x=(wide * 0.3 + 6) * (-1) ** decor.seed, y=wall_y - 1.4, z=max(112.0, float(high[2]) + 42))
    plant = turned.planter(materials.stoneware("#d8cdbb"), turned.leaves(13, 42, decor.seed + 3, "#4b6b40", 3.2))
    plant = [Part(part.mesh.scale(1.5, 1.5, 1.6), part.material) for part in plant]
    result += move(plant, x=(wide / 2 + 30) * (1 if decor.seed % 2 else -1), y=wall_y - 26)
    if has_rug:
        result += move(soft.rug(textures.plain("#d9d0c0", 4, 0.2), wide * 1.25 + 60, 150), y=-22, z=-1.0)
    bars, lights = sunlight(parts)
    return [*result, *bars], lights


def floor(parts: Parts, decor: Decor) -> Setting:
    """Return a room around a rug, with an armchair and a table at its far end."""
    _, high = bounds(parts)
    chair = soft.sofa(materials.fabric("#b9b1a2"), materials.wood("oak"), seats=1, arm="wood")
    furniture = move(turn(chair, 14), x=-float(high[0]) * 0.35, y=float(high[1]) * 0.62)
    table = built.round_table(materials.wood("oak"), materials.powder_coat("#2b2d2f"), 22, 48)
    furniture += move(table, x=float(high[0]) * 0.45, y=float(high[1]) * 0.7)
    bars_and_room, lights = room([*parts, *furniture], decor, has_rug=False)
    return [*furniture, *bars_and_room], lights


def wall(parts: Parts, decor: Decor, *, has_sideboard: bool = False) -> Setting:
    """Return the wall that a clock or a frame hangs on, and a sideboard with things below it."""
    low, high = bounds(parts)
    back = float(high[1])
    reach = float(np.linalg.norm(high - low)) / 2
    paint = materials.plaster(decor.wall) if has_sideboard else Material(materials.as_image(decor.wall), specular=0)
    surface = turn([plane(900, 700, paint, (160, 160))], 90, "x")
    result = list(move(surface, y=back + 0.3))
    if not has_sideboard:
        middle = ((low + high) / 2).tolist()
        lights = {
            "key": softbox(
                (middle[0] - 3 * reach, middle[1] - 3.4 * reach, middle[2] + 3 * reach),
                middle,
                2.4 * reach,
                2.4 * reach,
                [8.6, 8.5, 8.3],
            ),
            "sky": ambient([0.52, 0.52, 0.53]),
        }
        return result, lights
    top = float(low[2]) - 24
    board = built.board(170, 40, 4).move(y=back - 20, z=top - 4)
    result.append(Part(board, materials.wood(decor.timber)))
    body = built.board(164, 36, 60).move(y=back - 20, z=top - 64)
    result.append(Part(body, materials.wood(decor.timber)))
    jug = turned.vase(turned.MOON, materials.stoneware("#d8cdbb"), "#d8cdbb")
    result += move(
        [*jug, *move(turned.leaves(6, 22, decor.seed + 2, "#6b7a4a", 1.8), z=18)], x=reach * 0.9, y=back - 20, z=top
    )
    result += move(turn(built.stack(decor.seed, 3), 6), x=-reach - 12, y=back - 20, z=top)
    bars, lights = sunlight(parts, 2.2)
    return [*result, *bars], lights
