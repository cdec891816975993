"""The pictures of the shop: which there are, how each is taken, and what the tables say about them."""

from __future__ import annotations

import csv
import sys
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
from tqdm import tqdm

from project.photography import edits, furniture, homeware, render, scenes, tableware, textures
from project.photography.composition import Camera, Part, bounds, turn
from project.photography.designs import Design

DESIGNS: list[Design] = [*tableware.DESIGNS, *furniture.DESIGNS, *homeware.DESIGNS]
VIEWS = ("front", "room", "angle", "detail")
WALLS = ("#e9e2d6", "#d5dad3", "#dcd2c4", "#cbd5d8", "#e6d5c8", "#d9d4cb")
TIMBERS = ("oak", "walnut", "ash", "oak", "teak")
PORTRAIT, LANDSCAPE = (384, 480), (480, 384)


@dataclass(frozen=True)
class Picture:
    """A view of a product in one finish."""

    design: Design
    finish: str
    view: str

    @property
    def product(self) -> str:
        return self.design.slug(self.finish)

    @property
    def file(self) -> str:
        return f"{self.product}-{self.view}.jpg"


def list_pictures() -> list[Picture]:
    """Return all pictures: every product from the front, then the other views."""
    pictures = [
        Picture(design, finish, view)
        for design in DESIGNS
        for finish in design.finishes
        for view in design.views_of(finish)
    ]
    return sorted(pictures, key=lambda picture: VIEWS.index(picture.view))


def render_missing(folder: Path, only: str, samples: int) -> None:
    """Render what is not in the folder."""
    pictures = [picture for picture in list_pictures() if only in picture.file and not (folder / picture.file).exists()]
    for picture in tqdm(pictures, "Rendering", unit=" pictures", disable=None):
        partial = folder / f"{picture.file}.partial.jpg"
        render.save(take(picture, samples), partial)
        partial.rename(folder / picture.file)


def make_copies(folder: Path) -> None:
    """Make the edited copies of the pictures in the folder."""
    for copy in edits.COPIES:
        if (folder / copy.original).exists():
            cv2.imwrite(
                str(folder / copy.file), edits.apply(copy, cv2.imread(str(folder / copy.original))), render.JPEG
            )


def take(picture: Picture, samples: int) -> textures.Image:
    """Set up the scene of a picture, and render it."""
    design = picture.design
    parts = design.build(*design.finishes[picture.finish])
    camera = design.camera
    seed = zlib.crc32(design.family.encode())
    decor = scenes.Decor(WALLS[seed % len(WALLS)], TIMBERS[seed % len(TIMBERS)], seed % 7)
    if picture.view == "angle":
        camera = replace(camera, around=camera.around + 34, above=camera.above + 9)
    elif picture.view == "detail":
        camera = replace(camera, around=camera.around - 12, above=camera.above + 4, fill=camera.fill * 2.1, lift=-0.08)
    if picture.view == "room":
        surroundings, lights, camera = furnish(design, parts, decor)
    elif design.setting == "wall" and picture.view != "detail":
        surroundings, lights = scenes.wall(parts, replace(decor, wall="#efede8"))
    else:
        surroundings, lights = scenes.studio(parts, design.backdrop)
    return render.render(parts, surroundings, lights, camera, frame(parts, camera), samples)


def furnish(design: Design, parts: list[Part], decor: scenes.Decor) -> tuple[list[Part], dict[str, object], Camera]:
    """Return what stands around a product, the lights, and where the camera is."""
    camera = design.camera
    if design.setting == "wall":
        return *scenes.wall(parts, decor, has_sideboard=True), Camera(0, 1, 0.56, -0.05)
    if design.setting == "room":
        return *scenes.room(parts, decor), Camera(camera.around * 0.7, 8, 0.62, 0.05)
    if design.setting == "floor":
        return *scenes.floor(parts, decor), Camera(8, 17, 0.86, 0.12)
    return *scenes.tabletop(parts, decor), Camera(camera.around, min(camera.above, 14), 0.56, 0.06)


def frame(parts: list[Part], camera: Camera) -> tuple[int, int]:
    """Return the size of a picture in pixels: landscape for what is wider than tall."""
    low, high = bounds(turn(parts, -camera.around))
    width, depth, height = high - low
    return LANDSCAPE if width > 1.15 * (height + depth * camera.above / 60) else PORTRAIT


def write_tables(folder: Path) -> None:
    """Write what is sold, and what every picture shows."""
    written = {path.name for path in folder.glob("*.jpg")}
    products: dict[str, dict[str, str]] = {}
    truth: list[dict[str, str]] = []
    for picture in sorted(list_pictures(), key=lambda each: (each.product, VIEWS.index(each.view))):
        if picture.file not in written:
            continue
        design = picture.design
        products.setdefault(picture.product, describe(design, picture.finish))
        truth.append(row(picture.file, picture.product, design, picture.finish, picture.view))
    originals = {picture.file: picture for picture in list_pictures()}
    for copy in edits.COPIES:
        if copy.file in written:
            picture = originals[copy.original]
            sold = describe(picture.design, picture.finish)
            products[copy.product] = sold | {
                "product": copy.product,
                "name": f"{sold['name']} ({copy.label})",
                "price": f"{float(sold['price']) * copy.share:.0f}.00",
                "description": f"{copy.reason} {sold['description']}",
            }
            truth.append(
                row(copy.file, copy.product, picture.design, picture.finish, picture.view)
                | {"copy_of": copy.original, "edit": copy.edit}
            )
    for name, rows in (("products", list(products.values())), ("images", truth)):
        with (folder.parent / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    # As evaluate_similarity reads it.
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["path", "group", "class"], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"path": row["file"], "group": row["family"], "class": row["category"]} for row in truth)
    sys.stderr.write(f"{len(products)} products, {len(truth)} pictures\n")


def describe(design: Design, finish: str) -> dict[str, str]:
    return {
        "product": design.slug(finish),
        "name": f"{design.name}, {finish.lower()}",
        "category": design.category,
        "price": design.price,
        "description": design.description,
    }


def row(file: str, product: str, design: Design, finish: str, view: str) -> dict[str, str]:
    return {
        "file": file,
        "product": product,
        "family": design.family,
        "category": design.category,
        "color": finish,
        "material": design.material,
        "view": view,
        "copy_of": "",
        "edit": "",
    }
