"""The designs for walls, floors, and baths: clocks, frames, cushions, rugs, towels."""

from __future__ import annotations

from project.photography import built, prints, soft, textures
from project.photography.composition import Camera, Part
from project.photography.designs import Design
from project.photography.materials import Material, fabric, metal, powder_coat, wood
from project.photography.textures import Color

HANGING = Camera(0, 2, 0.74)
LEANING = Camera(12, 12)
LYING = Camera(20, 36, 0.84)


def station_clock(ground: Color, ink: Color, rim: Color) -> list[Part]:
    return built.clock(prints.face(ground, ink), powder_coat(rim), ink)


def wooden_clock(kind: str, ground: Color, ink: Color) -> list[Part]:
    return built.clock(prints.face(ground, ink, "numbers"), wood(kind), ink)


def dotted_clock(ground: Color, ink: Color, rim: str) -> list[Part]:
    return built.clock(prints.face(ground, ink, "dots"), metal(rim), ink, rim_width=0.8)


def botanical(border: str, ground: Color, color: Color, seed: int) -> list[Part]:
    return built.frame(prints.branch(ground, color, seed), wood(border), 40, 50)


def landscape(border: str, colors: tuple[Color, ...], seed: int) -> list[Part]:
    return built.frame(prints.hills(colors, seed), wood(border), 40, 50)


def arches(border: str, colors: tuple[Color, ...], seed: int) -> list[Part]:
    return built.frame(prints.arches(colors, seed), wood(border), 40, 50)


def striped_cushion(ground: Color, color: Color) -> list[Part]:
    image = textures.stripes([ground, color] * 5, [3, 1] * 5, is_upright=True)
    return soft.cushion(fabric(image, repeats=2), piping=color)


def dotted_cushion(ground: Color, color: Color) -> list[Part]:
    return soft.cushion(fabric(textures.dots(ground, color, 7), repeats=2))


def checked_cushion(ground: Color, color: Color) -> list[Part]:
    return soft.cushion(fabric(textures.checks(ground, color, 6), repeats=2))


def zigzag_cushion(ground: Color, color: Color) -> list[Part]:
    return soft.cushion(fabric(textures.zigzag(ground, color, 6), repeats=2), width=60, height=40, has_tassels=color)


def knitted_cushion(color: Color) -> list[Part]:
    return soft.cushion(fabric(color, "knit", 0.9))


def kilim(ground: Color, color: Color, line: Color) -> list[Part]:
    return soft.rug(textures.diamonds(ground, color, line, 4), 160, 230, fringe=ground)


def striped_rug(colors: tuple[Color, ...]) -> list[Part]:
    image = textures.stripes(list(colors) * 3, [3, 1, 2, 1] * 3)
    return soft.rug(image, 160, 230, fringe=colors[0])


def round_rug(color: Color) -> list[Part]:
    return soft.rug(textures.plain(color, 1, 0.3), 180, 180, is_round=True, is_thick=True)


def ringed_rug(ground: Color, color: Color) -> list[Part]:
    return soft.rug(textures.rings(ground, color), 180, 180, is_round=True, is_thick=True)


def bordered_rug(ground: Color, color: Color) -> list[Part]:
    return soft.rug(textures.borders(ground, color), 160, 230)


def terry(color: Color) -> Material:
    return fabric(color, "pile", 0.28)


def towel_set(one: Color, other: Color) -> list[Part]:
    return soft.towels([terry(one), terry(other)])


def bath_sheets(color: Color) -> list[Part]:
    return soft.towels([terry(color)] * 3)


def striped_towel(ground: Color, color: Color) -> list[Part]:
    image = textures.stripes([ground, color] * 3, [3, 1] * 3, is_upright=True)
    return soft.towels([fabric(image, "pile", 0.28)] * 2)


def waffle_towel(color: Color) -> list[Part]:
    image = textures.shade(textures.plain(color, 2, 0.1), textures.weave(16), 0.5)
    return soft.towels([fabric(image, "pile", 0.28)] * 2)


DESIGNS = [
    Design(
        "Clocks",
        "Station clock",
        "69.00",
        "Metal",
        "Clear strokes and strong hands, readable across the room. Silent movement. 32 cm across.",
        station_clock,
        {
            "Black": ("#f6f4ee", "#222222", "#222222"),
            "Red": ("#f6f4ee", "#2a2a2a", "#b5392f"),
            "Navy": ("#2c3c58", "#f1ece0", "#2c3c58"),
        },
        "wall",
        HANGING,
    ),
    Design(
        "Clocks",
        "Schoolhouse clock",
        "79.00",
        "Wood",
        "Big friendly numbers in a rounded wooden frame. Silent movement. 32 cm across.",
        wooden_clock,
        {
            "Oak": ("oak", "#f7f4ec", "#222222"),
            "Walnut": ("walnut", "#f3ead8", "#2b211a"),
            "Black": ("black", "#f7f4ec", "#222222"),
        },
        "wall",
        HANGING,
    ),
    Design(
        "Clocks",
        "Orbit clock",
        "85.00",
        "Metal",
        "Dots for the hours, a thin metal rim, and nothing else. Silent movement. 31 cm across.",
        dotted_clock,
        {
            "Brass": ("#35604c", "#f0e2b8", "brass"),
            "Steel": ("#eceae5", "#33383b", "steel"),
            "Copper": ("#e9c9ba", "#4a2f26", "copper"),
        },
        "wall",
        HANGING,
    ),
    Design(
        "Framed prints",
        "Herbarium print",
        "59.00",
        "Paper and wood",
        "A pressed branch, redrawn and printed on cotton paper. Framed behind acrylic. 44 × 54 cm.",
        botanical,
        {
            "Fern": ("oak", "#f3eee2", "#4d6a4a", 1),
            "Indigo": ("oak", "#f0ece4", "#34507a", 2),
            "Rust": ("walnut", "#f4ead9", "#a8562f", 3),
        },
        "wall",
        HANGING,
    ),
    Design(
        "Framed prints",
        "Horizon print",
        "65.00",
        "Paper and wood",
        "Hills in four layers under a low sun. Printed with pigment inks that do not fade. 44 × 54 cm.",
        landscape,
        {
            "Sunset": ("black", ("#f0e4d0", "#d9825b", "#c9a27a", "#8f9f8a", "#4c6870"), 2),
            "Mist": ("ash", ("#e9edec", "#c9d3d6", "#a9bcc2", "#7f9aa5", "#4f6b78"), 4),
            "Desert": ("oak", ("#f5e6cf", "#e9b44c", "#d98a5b", "#b9603f", "#7a3b2e"), 7),
        },
        "wall",
        HANGING,
    ),
    Design(
        "Framed prints",
        "Arcade print",
        "62.00",
        "Paper and wood",
        "Arches cut from colored paper, in the manner of the fifties. 44 × 54 cm.",
        arches,
        {
            "Earth": ("oak", ("#efe5d4", "#c77b52", "#54695c", "#2f3b45"), 0),
            "Sea": ("white", ("#eaf0ee", "#3f7f8c", "#1f4a5c", "#e0a552"), 1),
            "Berry": ("black", ("#f3e8e4", "#b5506a", "#5a2f4a", "#d9a441"), 2),
        },
        "wall",
        HANGING,
    ),
    Design(
        "Cushions",
        "Marina cushion",
        "34.00",
        "Linen",
        "Yarn-dyed stripes with piping in the same color. With a feather filling. 45 × 45 cm.",
        striped_cushion,
        {"Navy": ("#f0ece2", "#3c5a78"), "Brick": ("#f0ece2", "#b0583f"), "Olive": ("#f0ece2", "#7a7d45")},
        "room",
        LEANING,
        ("front", "angle", "detail"),
    ),
    Design(
        "Cushions",
        "Dotty cushion",
        "29.00",
        "Cotton",
        "Playful dots on washed cotton. Hidden zipper, removable cover. 45 × 45 cm.",
        dotted_cushion,
        {"Mustard": ("#f0ece2", "#d7a02f"), "Rose": ("#f3e6e0", "#c4737a"), "Ink": ("#33405a", "#f0ece2")},
        "room",
        LEANING,
        ("front", "angle"),
    ),
    Design(
        "Cushions",
        "Picnic cushion",
        "29.00",
        "Cotton",
        "Gingham, woven rather than printed, so it looks as good from the back. 45 × 45 cm.",
        checked_cushion,
        {"Red": ("#f3efe6", "#b5392f"), "Green": ("#f3efe6", "#4d7a5c"), "Blue": ("#f3efe6", "#4a6c9a")},
        "room",
        LEANING,
        ("front", "angle"),
    ),
    Design(
        "Cushions",
        "Zag lumbar cushion",
        "38.00",
        "Wool",
        "A long cushion with a woven zigzag and tassels tied by hand. 60 × 40 cm.",
        zigzag_cushion,
        {"Terracotta": ("#f0ece2", "#c06a4a"), "Teal": ("#f0ece2", "#3f7f80"), "Charcoal": ("#e9e4da", "#45474a")},
        "room",
        LEANING,
        ("front", "angle"),
    ),
    Design(
        "Cushions",
        "Aran cushion",
        "44.00",
        "Wool",
        "Chunky knit, soft to the touch, warm to the eye. 45 × 45 cm.",
        knitted_cushion,
        {"Cream": ("#e9e0cf",), "Gray": ("#9a9a98",), "Ocher": ("#c9953f",)},
        "room",
        LEANING,
        ("front", "detail"),
    ),
    Design(
        "Rugs",
        "Atlas rug",
        "289.00",
        "Wool",
        "Diamonds in the manner of the High Atlas, knotted by hand, with fringes at both ends. 160 × 230 cm.",
        kilim,
        {
            "Rust": ("#ece4d4", "#b5533c", "#2f3a44"),
            "Indigo": ("#ece4d4", "#3f5a86", "#22304a"),
            "Black": ("#ece4d4", "#3a3836", "#8a7a66"),
        },
        "floor",
        LYING,
    ),
    Design(
        "Rugs",
        "Lido rug",
        "219.00",
        "Cotton",
        "A flat-woven rug in broad stripes. Light, reversible, and machine washable. 160 × 230 cm.",
        striped_rug,
        {
            "Blue": (("#ece6d8", "#3c5a78", "#a9bcc8", "#3c5a78"),),
            "Clay": (("#efe4d2", "#b9603f", "#dfb391", "#b9603f"),),
            "Green": (("#ece6d8", "#46684f", "#a9b99f", "#46684f"),),
        },
        "floor",
        LYING,
    ),
    Design(
        "Rugs",
        "Moss round rug",
        "249.00",
        "Wool",
        "A deep, dense pile that bare feet look forward to. 180 cm across.",
        round_rug,
        {"Sage": ("#9fae9a",), "Cream": ("#e6dfd0",), "Ocher": ("#c99a4a",)},
        "floor",
        Camera(0, 34, 0.86),
    ),
    Design(
        "Rugs",
        "Halo round rug",
        "259.00",
        "Wool",
        "Rings like those of a stone in still water, for the reading corner or below a round table. 180 cm across.",
        ringed_rug,
        {"Navy": ("#ece6d8", "#3c5a78"), "Clay": ("#efe4d2", "#b9603f"), "Sage": ("#ece6d8", "#8a9a7c")},
        "floor",
        Camera(0, 34, 0.86),
    ),
    Design(
        "Rugs",
        "Galerie rug",
        "239.00",
        "Wool",
        "Two drawn frames around a calm middle, like a passe-partout for the table. Hand-tufted, with a cotton back. 160 × 230 cm.",
        bordered_rug,
        {"Charcoal": ("#e9e4da", "#45474a"), "Mustard": ("#efe8d8", "#cf9a35"), "Teal": ("#ece6d8", "#3f7f80")},
        "floor",
        LYING,
    ),
    Design(
        "Towels",
        "Cala towel set",
        "39.00",
        "Cotton",
        "A bath and a hand towel in thick, combed cotton. 600 g/m².",
        towel_set,
        {"Sand": ("#d0b795", "#efe9df"), "Blue": ("#5f7f9f", "#dfe6ea"), "Rose": ("#c9928a", "#f1e4de")},
        "table",
        Camera(24, 17),
        ("front", "angle"),
    ),
    Design(
        "Towels",
        "Spa bath sheets",
        "59.00",
        "Cotton",
        "Three bath sheets, large enough to disappear in. 500 g/m², quick drying.",
        bath_sheets,
        {"White": ("#f0eee8",), "Charcoal": ("#55585a",), "Sage": ("#9aa88f",)},
        "table",
        Camera(24, 17),
        ("front", "angle"),
    ),
    Design(
        "Towels",
        "Regatta towels",
        "47.00",
        "Cotton",
        "Two hand towels with crisp stripes on soft terry. Get better with every wash. 50 × 100 cm.",
        striped_towel,
        {"Navy": ("#f0ece2", "#2f4a70"), "Red": ("#f0ece2", "#b0453a"), "Mint": ("#f2f0e8", "#6fa08f")},
        "table",
        Camera(24, 17),
        ("front", "angle", "room"),
    ),
    Design(
        "Towels",
        "Waffle towels",
        "38.00",
        "Cotton",
        "Two towels in a honeycomb weave that dries fast and packs small. 50 × 90 cm.",
        waffle_towel,
        {"Gray": ("#a9aaa8",), "Cream": ("#ece4d4",), "Ocher": ("#c9953f",)},
        "table",
        Camera(24, 17),
        ("front",),
    ),
]
