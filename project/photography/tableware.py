"""The designs that are turned: vases, bowls, mugs, bottles, lamps, candlesticks, planters, baskets."""

from __future__ import annotations

from project.photography import materials, textures, turned
from project.photography.composition import Camera, Part
from project.photography.designs import Design
from project.photography.materials import ceramic, stoneware
from project.photography.textures import Color

LOW = Camera(above=9)
TOP = Camera(above=27)


def dipped_vase(top: Color, bottom: Color) -> list[Part]:
    return turned.vase(turned.SHOULDER, ceramic(textures.glaze(top, bottom, 0.46, 1)), bottom)


def ribbed_vase(color: Color) -> list[Part]:
    return turned.vase(turned.BOTTLE_NECK, stoneware(color), color, ribs=28, depth=0.03)


def striped_vase(ground: Color, color: Color) -> list[Part]:
    image = textures.stripes([ground, color] * 4, [1, 1] * 4)
    return turned.vase(turned.CYLINDER, ceramic(image), ground)


def moon_vase(color: Color, speck: Color) -> list[Part]:
    return turned.vase(turned.MOON, stoneware(textures.speckles(color, speck, 2)), color)


def faded_vase(top: Color, bottom: Color) -> list[Part]:
    return turned.vase(turned.TULIP, ceramic(textures.fade(top, bottom, 4), 0.25), bottom)


def speckled_bowl(color: Color, speck: Color) -> list[Part]:
    image = textures.speckles(color, speck, 3, 500)
    return turned.bowl(stoneware(image), ceramic(textures.speckles(color, speck, 4, 120, 1.6)))


def striped_bowl(ground: Color, color: Color) -> list[Part]:
    image = textures.stripes([ground, color, ground, color, ground], [1.2, 1, 0.7, 1, 6])
    return turned.bowl(ceramic(image), ceramic(ground), is_deep=True)


def wooden_bowl(kind: str) -> list[Part]:
    timber = materials.wood(kind, 3)
    return turned.bowl(timber, timber, is_wooden=True)


def dipped_mug(top: Color, bottom: Color) -> list[Part]:
    return turned.mug(ceramic(textures.glaze(top, bottom, 0.42, 5)), bottom)


def dotted_mug(ground: Color, color: Color) -> list[Part]:
    return turned.mug(ceramic(textures.dots(ground, color, 5)), ground)


def speckled_mug(color: Color, speck: Color) -> list[Part]:
    outline: turned.Outline = [(3.2, 0), (4.4, 1.6), (4.9, 4.5), (4.5, 7.6), (4.1, 9)]
    return turned.mug(stoneware(textures.speckles(color, speck, 6, 500)), color, outline=outline)


def enamel_mug(color: Color, rim: Color) -> list[Part]:
    outline: turned.Outline = [(4.3, 0), (4.5, 0.4), (4.4, 3), (4.5, 7.4), (4.8, 8.4)]
    return turned.mug(ceramic(color, 0.1), "#f6f4ee", outline=outline, rim=rim)


def wine_bottle(tint: Color) -> list[Part]:
    return turned.bottle(turned.WINE, tint)


def carafe(tint: Color) -> list[Part]:
    return turned.bottle(turned.CARAFE, tint, materials.wood("oak"))


def apothecary(tint: Color) -> list[Part]:
    return turned.bottle(turned.APOTHECARY, tint, ceramic("#2b2a28", 0.4))


def plain_vase(color: Color) -> list[Part]:
    return turned.vase(turned.CYLINDER, ceramic(textures.plain(color, 5, 0.25)), color)


def lamp(color: Color, shade: Color) -> list[Part]:
    return turned.ceramic_lamp(ceramic(color), shade)


def planter(color: Color) -> list[Part]:
    return turned.planter(stoneware(color), turned.leaves(10, 24, 1, "#4d7a3f"))


def ribbed_planter(color: Color) -> list[Part]:
    plant = turned.leaves(16, 32, 2, "#3f6b45", 1.7, is_upright=True)
    return turned.planter(ceramic(color), plant, ribs=30, depth=0.025)


def standing_planter(color: Color, timber: str) -> list[Part]:
    return turned.planter(stoneware(color), turned.leaves(12, 26, 6, "#5b7f4a", 3), has_legs=timber)


def wooden_stick(kind: str, candle: Color) -> list[Part]:
    return turned.candlestick(turned.BALUSTER, materials.wood(kind), candle)


def metal_stick(kind: str, candle: Color) -> list[Part]:
    return turned.candlestick(turned.SLIM, materials.metal(kind), candle)


def ceramic_stick(color: Color, candle: Color) -> list[Part]:
    return turned.candlestick(turned.BEADS, ceramic(color), candle, height=17)


def basket(light: Color, dark: Color, band: Color = "") -> list[Part]:
    return turned.basket(light, dark, band=band)


def low_basket(light: Color, dark: Color) -> list[Part]:
    parts = turned.basket(light, dark, has_handles=False)
    return [Part(part.mesh.scale(1.15, 1.15, 0.5), part.material) for part in parts]


DESIGNS = [
    Design(
        "Vases",
        "Halden vase",
        "48.00",
        "Ceramic",
        "A generous shoulder vase, dipped by hand so that no two glaze lines are alike. Holds a full bouquet, and looks complete without one. 30 cm tall.",
        dipped_vase,
        {
            "Cobalt": ("#2b5a8c", "#ece6d8"),
            "Moss": ("#6f7f4f", "#ece6d8"),
            "Terracotta": ("#b9603f", "#efe6d6"),
            "Ink": ("#33363d", "#e6e1d6"),
        },
        views=("front", "angle", "room", "detail"),
    ),
    Design(
        "Vases",
        "Brisa vase",
        "36.00",
        "Stoneware",
        "A slender neck on a fluted body, made for a single stem or a few dry grasses. Matte outside, glazed inside. 30 cm tall.",
        ribbed_vase,
        {"Chalk": ("#ece8df",), "Sand": ("#cdb391",), "Charcoal": ("#3b3a39",)},
    ),
    Design(
        "Vases",
        "Otis vase",
        "32.00",
        "Ceramic",
        "Bold stripes around a straight cylinder. The wide opening keeps tulips and branches apart. 25 cm tall.",
        striped_vase,
        {"Pine": ("#f1ece0", "#2f6a5a"), "Navy": ("#f1ece0", "#2c4468"), "Coral": ("#f4ece0", "#d9694f")},
    ),
    Design(
        "Vases",
        "Luna vase",
        "54.00",
        "Stoneware",
        "Round as a full moon, in speckled stoneware with a soft, chalky touch. 21 cm tall.",
        moon_vase,
        {"Oat": ("#d9cfbd", "#5a4630"), "Sage": ("#a9b39a", "#4d553f"), "Blush": ("#d9b3a0", "#7a4a3a")},
    ),
    Design(
        "Vases",
        "Tulipa vase",
        "42.00",
        "Ceramic",
        "Opens like its namesake, in a glaze that drifts from one color into the next. 24 cm tall.",
        faded_vase,
        {"Dusk": ("#6c5b84", "#e6c3b3"), "Lagoon": ("#2d7d86", "#dfe9dc"), "Amber": ("#b8752f", "#f1e2bf")},
    ),
    Design(
        "Vases",
        "Sten vase",
        "29.00",
        "Ceramic",
        "A plain cylinder in a glaze that pools and breaks like water. Steady enough for heavy branches. 25 cm tall.",
        plain_vase,
        {"Celadon": ("#9dbba6",), "Oxblood": ("#8a3530",), "Denim": ("#4f6b8c",)},
    ),
    Design(
        "Bowls",
        "Juno serving bowl",
        "39.00",
        "Stoneware",
        "A wide, shallow bowl for salads, pasta, or a week of fruit. Dishwasher safe. 31 cm across.",
        speckled_bowl,
        {"Oat": ("#dcd3c2", "#5a4630"), "Slate": ("#7f8a90", "#33383b"), "Sage": ("#aab49b", "#4d553f")},
        camera=TOP,
    ),
    Design(
        "Bowls",
        "Pell bowl",
        "18.00",
        "Ceramic",
        "A deep breakfast bowl with two painted rings. Stacks neatly, and survives the microwave. 24 cm across.",
        striped_bowl,
        {"Navy": ("#f3efe6", "#2c4468"), "Rust": ("#f3efe6", "#b9603f"), "Olive": ("#f3efe6", "#7a7d45")},
        camera=TOP,
    ),
    Design(
        "Bowls",
        "Arbor bowl",
        "64.00",
        "Wood",
        "Turned from a single piece and finished with food-safe oil. The grain is different in every bowl. 31 cm across.",
        wooden_bowl,
        {"Oak": ("oak",), "Walnut": ("walnut",), "Teak": ("teak",)},
        camera=TOP,
    ),
    Design(
        "Mugs",
        "Harbor mug",
        "16.00",
        "Ceramic",
        "A straight-sided mug with a handle that fits three fingers. Dipped in a glaze that breaks over the edge. 350 ml.",
        dipped_mug,
        {"Ocean": ("#2f6f8f", "#efe9db"), "Moss": ("#6f7f4f", "#efe9db"), "Clay": ("#b9603f", "#efe9db")},
        camera=Camera(-20, 17),
    ),
    Design(
        "Mugs",
        "Confetti mug",
        "15.00",
        "Ceramic",
        "Cheerful dots, printed under the glaze, so they stay through a thousand washes. 350 ml.",
        dotted_mug,
        {"Coral": ("#f3efe6", "#d9634a"), "Blue": ("#f3efe6", "#3f6ea8"), "Mustard": ("#f3efe6", "#d7a02f")},
        camera=Camera(-20, 17),
    ),
    Design(
        "Mugs",
        "Pebble mug",
        "19.00",
        "Stoneware",
        "A rounded, speckled mug that warms both hands. 380 ml.",
        speckled_mug,
        {"Oat": ("#dcd3c2", "#5a4630"), "Charcoal": ("#4a4847", "#1e1d1c"), "Sky": ("#a8bcc6", "#4f6470")},
        camera=Camera(-20, 17),
    ),
    Design(
        "Mugs",
        "Camp mug",
        "14.00",
        "Enamel",
        "Light, tough, and at home on the stove or around a fire. With a rolled, contrasting rim. 400 ml.",
        enamel_mug,
        {"White": ("#f4f2ec", "#2c4468"), "Forest": ("#3f6450", "#20241f"), "Red": ("#b5392f", "#20201f")},
        camera=Camera(-20, 17),
    ),
    Design(
        "Bottles and carafes",
        "Vero bottle",
        "22.00",
        "Glass",
        "A tall bottle of recycled glass for oil, water, or one long stem. 75 cl.",
        wine_bottle,
        {"Green": ("#9fd0ae",), "Amber": ("#f2d199",), "Clear": ("#fafcfb",)},
        camera=LOW,
    ),
    Design(
        "Bottles and carafes",
        "Fonte carafe",
        "34.00",
        "Glass",
        "A hand-blown carafe with an oak stopper. Narrow enough for the fridge door. 1.1 liters.",
        carafe,
        {"Clear": ("#fafcfb",), "Smoke": ("#d6d5d3",), "Rose": ("#f9e3e0",)},
        camera=LOW,
    ),
    Design(
        "Bottles and carafes",
        "Alba bottle",
        "26.00",
        "Glass",
        "A squat bottle with a ceramic stopper, for bath salts, syrups, or liqueur. 50 cl.",
        apothecary,
        {"Cobalt": ("#a5bfea",), "Amber": ("#f2d199",), "Aqua": ("#cdeae7",)},
        camera=LOW,
    ),
    Design(
        "Table lamps",
        "Nora table lamp",
        "129.00",
        "Ceramic",
        "A glazed, pear-shaped base under a linen shade. Gives a warm, even light for reading. With a dimmer on the cord. 44 cm tall.",
        lamp,
        {
            "Pine": ("#2f6a5a", "#f5ead6"),
            "Cobalt": ("#2b5a8c", "#f5ead6"),
            "Ocher": ("#c98f35", "#f7efe0"),
            "White": ("#ece8df", "#e9dcc6"),
        },
        camera=Camera(0, 7),
    ),
    Design(
        "Table lamps",
        "Wick table lamp",
        "98.00",
        "Wood",
        "A turned wooden stem and a linen shade. Quiet enough for a bedside, tall enough for a desk. 45 cm tall.",
        turned.stick_lamp,
        {"Oak": ("oak", "#f5ead6"), "Walnut": ("walnut", "#f3e4cb"), "Black": ("black", "#f1e6d3")},
        camera=Camera(0, 7),
    ),
    Design(
        "Table lamps",
        "Dome table lamp",
        "89.00",
        "Metal",
        "A powder-coated classic with a glare-free dome. Sturdy switch, braided cord. 38 cm tall.",
        turned.dome_lamp,
        {"Mustard": ("#d9a441",), "Black": ("#252525",), "Sage": ("#93a38a",)},
        camera=Camera(0, 7),
    ),
    Design(
        "Candlesticks",
        "Baluster candlestick",
        "24.00",
        "Wood",
        "Turned on a lathe from solid wood, with a brass cup inside for safe burning. 16 cm tall.",
        wooden_stick,
        {"Oak": ("oak", "#efe7d8"), "Walnut": ("walnut", "#efe7d8"), "Black": ("black", "#c9b38f")},
        camera=LOW,
    ),
    Design(
        "Candlesticks",
        "Lys candlestick",
        "29.00",
        "Metal",
        "A slim stem on a wide foot. Beautiful alone, better in a row of three. 22 cm tall.",
        metal_stick,
        {"Brass": ("brass", "#efe7d8"), "Copper": ("copper", "#efe7d8"), "Steel": ("steel", "#4c5b53")},
        camera=LOW,
    ),
    Design(
        "Candlesticks",
        "Bobbin candlestick",
        "21.00",
        "Ceramic",
        "Stacked rounds in a glossy glaze, a little wink on a set table. 13 cm tall.",
        ceramic_stick,
        {"Coral": ("#d9694f", "#f1d9cd"), "Cream": ("#efe7d6", "#c98f5a"), "Forest": ("#35604c", "#efe7d8")},
        camera=LOW,
    ),
    Design(
        "Planters",
        "Fern pot",
        "28.00",
        "Stoneware",
        "A classic tapered pot with a drainage hole and a saucer of its own. Plant not included. 18 cm across.",
        planter,
        {"Terracotta": ("#c4714a",), "Stone": ("#b9b1a4",), "White": ("#efece5",)},
        camera=LOW,
    ),
    Design(
        "Planters",
        "Ripple pot",
        "34.00",
        "Ceramic",
        "Fluted sides catch the light. Glazed inside and out, so no water marks on the sill. 18 cm across.",
        ribbed_planter,
        {"White": ("#f2efe8",), "Blush": ("#dcae9c",), "Teal": ("#3d7f80",)},
        camera=LOW,
    ),
    Design(
        "Planters",
        "Stilt planter",
        "59.00",
        "Stoneware and wood",
        "A planter on legs, to lift your favorite plant toward the light. 34 cm tall with its stand.",
        standing_planter,
        {"Sand": ("#d8c3a2", "oak"), "Charcoal": ("#45474a", "walnut"), "Olive": ("#7f8560", "oak")},
        camera=LOW,
    ),
    Design(
        "Baskets",
        "Marit basket",
        "45.00",
        "Seagrass",
        "Woven by hand and roomy enough for blankets, toys, or a tall plant. With sturdy handles. 35 cm across.",
        basket,
        {
            "Natural": ("#d9b98a", "#8a6238", "#efe9dc"),
            "Honey": ("#c8924f", "#6f4522", "#2f2a26"),
            "Gray": ("#b5aea2", "#6f6a62", "#efece5"),
        },
        setting="room",
        camera=Camera(0, 16),
    ),
    Design(
        "Baskets",
        "Tove tray basket",
        "29.00",
        "Seagrass",
        "A low basket for bread, mail, or rolled towels. 40 cm across.",
        low_basket,
        {"Natural": ("#d9b98a", "#8a6238"), "Dark": ("#7d5a3a", "#3f2b1b"), "White": ("#ece7dc", "#a59d8e")},
        camera=Camera(0, 24),
    ),
]
