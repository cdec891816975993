"""Materials as Mitsuba knows them: ceramic, glass, wood, metal, fabric."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import mitsuba
import numpy as np

from project.photography import textures
from project.photography.textures import Color, Image


@dataclass(frozen=True)
class Material:
    """How a surface looks; `image` is its color, of any size, and `bumps` a height (0 to 1) of `bump_height` cm."""

    image: Image
    roughness: float = 0.5
    metallic: float = 0
    clearcoat: float = 0
    sheen: float = 0
    specular: float = 0.5
    bumps: Image | None = None
    bump_height: float = 0
    bump_repeats: float = 1
    is_glass: bool = False
    glow: float = 0

    def describe(self) -> dict[str, Any]:
        """Return the BSDF as Mitsuba's dictionary."""
        if self.is_glass:
            tint = {"type": "rgb", "value": [float(part) ** 2.2 for part in self.image[0, 0]]}
            return {"type": "dielectric", "int_ior": 1.5, "ext_ior": 1.0, "specular_transmittance": tint}
        if self.specular == 0:
            return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": as_texture(self.image)}}
        surface: dict[str, Any] = {
            "type": "principled",
            "base_color": as_texture(self.image),
            "roughness": self.roughness,
            "metallic": self.metallic,
            "specular": self.specular,
            "clearcoat": self.clearcoat,
            "clearcoat_gloss": 0.95,
            "sheen": self.sheen,
        }
        if self.bumps is not None:
            bumps = as_texture(self.bumps[..., None], is_color=False, repeats=self.bump_repeats)
            surface = {"type": "bumpmap", "texture": bumps, "scale": self.bump_height, "bsdf": surface}
        return {"type": "twosided", "bsdf": surface}


def as_texture(image: Image, *, is_color: bool = True, repeats: float = 1) -> dict[str, Any]:
    pixels = np.ascontiguousarray(image[::-1] * 255 + 0.5).astype(np.uint8)
    bitmap = mitsuba.Bitmap(pixels)
    texture: dict[str, Any] = {"type": "bitmap", "bitmap": bitmap, "raw": not is_color}
    if repeats != 1:
        texture["to_uv"] = mitsuba.ScalarTransform4f().scale([repeats, repeats, 1])
    return texture


def as_image(color: Color | Image) -> Image:
    return textures.rgb(color)[None, None] if isinstance(color, str) else color


def ceramic(color: Color | Image, roughness: float = 0.12) -> Material:
    return Material(as_image(color), roughness=max(roughness, 0.08), clearcoat=0.6 if roughness < 0.3 else 0)


def stoneware(color: Color | Image) -> Material:
    return Material(as_image(color), roughness=0.55, bumps=textures.noise(5, (24, 24), 3), bump_height=0.05)


def lacquer(color: Color | Image) -> Material:
    return Material(as_image(color), roughness=0.3)


def plaster(color: Color) -> Material:
    return Material(textures.plain(color, 3, 0.04), roughness=0.85, specular=0.2)


def wood(kind: str, seed: int = 0) -> Material:
    light, dark = WOODS[kind]
    return Material(textures.wood(light, dark, seed), roughness=0.42)


WOODS = {
    "oak": ("#d3ac78", "#b28650"),
    "ash": ("#e6cfa8", "#cdb083"),
    "walnut": ("#7d5637", "#54371f"),
    "black": ("#2c2a28", "#1b1a19"),
    "white": ("#efece5", "#e2ddd3"),
    "teak": ("#b47a45", "#8e5a2d"),
    "gray": ("#a59d92", "#857d73"),
}


def metal(kind: str, roughness: float = 0.22) -> Material:
    return Material(as_image(METALS[kind]), roughness=roughness, metallic=1)


METALS = {
    "brass": "#d8b061",
    "copper": "#d68a64",
    "steel": "#c4c5c7",
    "bronze": "#8a6a44",
}


def powder_coat(color: Color) -> Material:
    return Material(as_image(color), roughness=0.38)


def fabric(color: Color | Image, kind: str = "weave", height: float = 0.05, repeats: float = 1) -> Material:
    """Return cloth; its threads are bumps and darken the color between them."""
    relief = {"weave": textures.weave(32), "knit": textures.knit(18), "pile": textures.pile(2)}[kind]
    image = as_image(color)
    if image.shape[0] == 1:
        image = np.broadcast_to(image, (textures.SIZE, textures.SIZE, 3))
    if repeats == 1:
        image = textures.shade(image, relief, 0.35)
    image = textures.shade(image, textures.noise(9, (6, 6), 3), 0.12)
    return Material(
        image, roughness=0.9, sheen=0.35, specular=0.15, bumps=relief, bump_height=height, bump_repeats=repeats
    )


def leather(color: Color) -> Material:
    relief = textures.noise(4, (48, 48), 2)
    image = textures.plain(color, 4, 0.18)
    return Material(image, roughness=0.48, bumps=relief, bump_height=0.06)


def glass(tint: Color = "#fbfdfc") -> Material:
    return Material(as_image(tint), is_glass=True)


def shine(color: Color, glow: float) -> Material:
    """Return what gives light itself: a lampshade, a flame."""
    return Material(as_image(color), roughness=0.9, glow=glow)


def matte(material: Material) -> Material:
    return replace(material, roughness=0.8, clearcoat=0)
