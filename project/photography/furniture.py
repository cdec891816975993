"""The designs that are built, and those one sits on: chairs, stools, tables, shelves, sofas."""

from __future__ import annotations

from project.photography import built, materials, soft, textures
from project.photography.composition import Camera, Part
from project.photography.designs import Design
from project.photography.materials import fabric, leather, metal, powder_coat, wood
from project.photography.textures import Color

STANDING = Camera(28, 13)
LOOKING_DOWN = Camera(26, 18)


def spindle_chair(kind: str) -> list[Part]:
    return built.spindle_chair(wood(kind, 1))


def ladder_chair(kind: str, cloth: Color) -> list[Part]:
    return built.ladder_chair(wood(kind, 1), fabric(cloth))


def upholstered_chair(cloth: Color, kind: str) -> list[Part]:
    return built.upholstered_chair(fabric(cloth), wood(kind, 1))


def shell_chair(color: Color, kind: str) -> list[Part]:
    return built.shell_chair(color, wood(kind, 1))


def wooden_stool(kind: str) -> list[Part]:
    return built.stool(wood(kind, 2))


def bar_stool(kind: str, cloth: Color) -> list[Part]:
    return built.stool(wood(kind, 2), leather(cloth), height=72)


def marble_table(ground: Color, vein: Color, kind: str) -> list[Part]:
    top = materials.Material(textures.marble(ground, vein, 2), roughness=0.15)
    return built.round_table(top, metal(kind))


def coffee_table(kind: str) -> list[Part]:
    return built.coffee_table(wood(kind, 5), wood(kind, 6))


def desk(kind: str, steel: Color) -> list[Part]:
    return built.trestle_table(wood(kind, 5), powder_coat(steel))


def terrazzo_table(ground: Color, chips: tuple[Color, ...], steel: Color) -> list[Part]:
    top = materials.Material(textures.terrazzo(ground, chips, 1), roughness=0.25)
    return built.round_table(top, powder_coat(steel), radius=22, height=46)


def wooden_table(kind: str) -> list[Part]:
    return built.round_table(wood(kind, 5), wood(kind, 6), radius=24, height=52)


def dining_table(kind: str) -> list[Part]:
    parts = built.coffee_table(wood(kind, 5), wood(kind, 6), has_shelf=False)
    return [Part(part.mesh.scale(1.5, 1.45, 1.75), part.material) for part in parts]


def bookcase(kind: str) -> list[Part]:
    return built.bookcase(wood(kind, 7))


def low_shelf(kind: str) -> list[Part]:
    return built.bookcase(wood(kind, 7), rows=2, width=120)


def sofa(cloth: Color, kind: str) -> list[Part]:
    return soft.sofa(fabric(cloth), wood(kind, 1), arm="slope")


def loveseat(cloth: Color, kind: str) -> list[Part]:
    return soft.sofa(leather(cloth), wood(kind, 1), seats=2, arm="round")


def armchair(cloth: Color, kind: str) -> list[Part]:
    return soft.sofa(fabric(cloth), wood(kind, 1), seats=1, arm="wood")


def club_chair(cloth: Color, kind: str) -> list[Part]:
    return soft.sofa(fabric(cloth), wood(kind, 1), seats=1)


DESIGNS = [
    Design(
        "Chairs",
        "Alder chair",
        "149.00",
        "Wood",
        "A spindle-back chair with a gently curved top rail. Solid wood, joined without a screw in sight. Seat height 46 cm.",
        spindle_chair,
        {"Oak": ("oak",), "Walnut": ("walnut",), "Black": ("black",), "White": ("white",)},
        "room",
        STANDING,
        ("front", "angle", "room", "detail"),
    ),
    Design(
        "Chairs",
        "Rung chair",
        "169.00",
        "Wood and fabric",
        "Three slats shaped to your back and a seat pad that comes off for washing. Seat height 48 cm.",
        ladder_chair,
        {
            "Oak and cream": ("oak", "#dcd3c2"),
            "Walnut and gray": ("walnut", "#8d9092"),
            "Black and rust": ("black", "#b0603f"),
        },
        "room",
        STANDING,
    ),
    Design(
        "Chairs",
        "Elsa dining chair",
        "189.00",
        "Fabric and wood",
        "A padded dining chair for evenings that last. Stain-resistant fabric, tapered wooden legs. Seat height 49 cm.",
        upholstered_chair,
        {"Forest": ("#44614f", "oak"), "Rose": ("#c9928a", "oak"), "Denim": ("#50667f", "walnut")},
        "room",
        STANDING,
    ),
    Design(
        "Chairs",
        "Cove shell chair",
        "119.00",
        "Molded plastic and wood",
        "A molded shell that gives a little when you lean back, on ash legs. Wipes clean. Seat height 45 cm.",
        shell_chair,
        {"Mustard": ("#e0ae3a", "ash"), "White": ("#f0eee8", "ash"), "Teal": ("#3d8087", "ash")},
        "room",
        STANDING,
    ),
    Design(
        "Stools",
        "Milk stool",
        "79.00",
        "Wood",
        "A small round stool that serves as a seat, a step, or a bedside table. 46 cm tall.",
        wooden_stool,
        {"Oak": ("oak",), "Walnut": ("walnut",), "Black": ("black",)},
        "room",
        Camera(20, 18),
    ),
    Design(
        "Stools",
        "Perch bar stool",
        "139.00",
        "Wood and leather",
        "A counter stool with a padded leather seat and a footrest in the right place. 72 cm tall.",
        bar_stool,
        {"Cognac": ("oak", "#a4612f"), "Black": ("walnut", "#2d2b2a"), "Olive": ("ash", "#6e7148")},
        "room",
        Camera(20, 13),
    ),
    Design(
        "Tables",
        "Carra side table",
        "179.00",
        "Marble and metal",
        "A round marble top on a slim metal column. Every slab has veins of its own. 50 cm tall.",
        marble_table,
        {
            "White and brass": ("#f3f1ed", "#6f6e6c", "brass"),
            "Black and steel": ("#2b2b2d", "#c9c5bc", "steel"),
            "Green and brass": ("#3c5a4b", "#c9d3c4", "brass"),
        },
        "room",
        Camera(0, 17),
    ),
    Design(
        "Tables",
        "Fjord coffee table",
        "259.00",
        "Wood",
        "A low table with a shelf for magazines and everything else. 105 × 58 cm.",
        coffee_table,
        {"Oak": ("oak",), "Walnut": ("walnut",), "White": ("white",)},
        "room",
        LOOKING_DOWN,
    ),
    Design(
        "Tables",
        "Draft desk",
        "299.00",
        "Wood and steel",
        "A roomy desk on two powder-coated steel frames. Cables leave through the back. 130 × 64 cm.",
        desk,
        {
            "Oak and black": ("oak", "#232323"),
            "Walnut and white": ("walnut", "#e9e7e2"),
            "Ash and sage": ("ash", "#8b9b82"),
        },
        "room",
        STANDING,
    ),
    Design(
        "Tables",
        "Gelato side table",
        "149.00",
        "Terrazzo and steel",
        "A terrazzo top, cast with chips of real marble, on a steel foot. 46 cm tall.",
        terrazzo_table,
        {
            "Vanilla": ("#efe8da", ("#c98f6a", "#7f8f86", "#3f4a52"), "#e9e4da"),
            "Blush": ("#e3bfb2", ("#8f4f3f", "#f3ece0", "#5c5a58"), "#c98f84"),
            "Graphite": ("#55595c", ("#d9d4c8", "#b98f6a", "#1f2224"), "#2b2d2f"),
        },
        "room",
        Camera(0, 22),
    ),
    Design(
        "Tables",
        "Orla side table",
        "129.00",
        "Wood",
        "A round wooden table with a turned foot, for the lamp, the book, and the glass. 54 cm tall.",
        wooden_table,
        {"Oak": ("oak",), "Walnut": ("walnut",), "Black": ("black",)},
        "room",
        Camera(0, 19),
    ),
    Design(
        "Tables",
        "Aspen dining table",
        "549.00",
        "Wood",
        "A dining table on four tapered legs that seats six and does not wobble. 158 × 84 cm.",
        dining_table,
        {"Ash": ("ash",), "Walnut": ("walnut",), "Black": ("black",)},
        "room",
        STANDING,
    ),
    Design(
        "Shelves",
        "Archive bookcase",
        "249.00",
        "Wood",
        "Four deep shelves and a solid back. Comes with a fixing kit for the wall. 148 cm tall.",
        bookcase,
        {"Oak": ("oak",), "White": ("white",), "Walnut": ("walnut",)},
        "room",
        Camera(24, 8),
        backdrop="#f3f3f1",
    ),
    Design(
        "Shelves",
        "Folio low bookcase",
        "219.00",
        "Wood",
        "A long, low bookcase that doubles as a bench for lamps and plants. 120 cm wide.",
        low_shelf,
        {"Oak": ("oak",), "White": ("white",), "Black": ("black",)},
        "room",
        Camera(24, 12),
    ),
    Design(
        "Sofas and armchairs",
        "Holm sofa",
        "1290.00",
        "Fabric",
        "Three deep seats, sloped arms, and covers that come off for washing. 215 cm wide.",
        sofa,
        {"Sage": ("#8a9a8c", "oak"), "Stone": ("#bdb6a9", "oak"), "Navy": ("#3d4f68", "walnut")},
        "room",
        Camera(20, 13),
        ("front", "angle", "room", "detail"),
    ),
    Design(
        "Sofas and armchairs",
        "Mercer loveseat",
        "1190.00",
        "Leather",
        "A two-seater with rolled arms in full-grain leather that looks better every year. 160 cm wide.",
        loveseat,
        {"Cognac": ("#9a5a30", "black"), "Chocolate": ("#50352a", "black"), "Black": ("#2b2a2a", "oak")},
        "room",
        Camera(20, 13),
    ),
    Design(
        "Sofas and armchairs",
        "Teno armchair",
        "549.00",
        "Fabric and wood",
        "A lounge chair with bent wooden arms. Light enough to move to where the sun is. 76 cm wide.",
        armchair,
        {"Camel": ("#bf9a70", "walnut"), "Moss": ("#6d7a50", "oak"), "Ivory": ("#e6dfd1", "oak")},
        "room",
        Camera(26, 13),
    ),
    Design(
        "Sofas and armchairs",
        "Bruno club chair",
        "629.00",
        "Fabric",
        "Square outside, soft inside: a generous chair for reading the whole book. 98 cm wide.",
        club_chair,
        {"Rust": ("#b0603f", "walnut"), "Teal": ("#3f7479", "oak"), "Gray": ("#8d9092", "black")},
        "room",
        Camera(26, 13),
    ),
]
