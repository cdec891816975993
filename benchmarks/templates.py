"""Drawings of one template, filled in differently: what forms, cards, charts, screens and packages have in common."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Color = tuple[int, ...]


def font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own font."""
    return ImageFont.load_default(size)  # type: ignore[return-value]  # given a size, it returns a FreeTypeFont


def words(rng: random.Random, count: int) -> str:
    """Return words of random letters."""
    letters = "abcdefghijklmnoprstuvw"
    return " ".join("".join(rng.choices(letters, k=rng.randint(3, 9))) for _ in range(count))


def color(rng: random.Random, low: int = 0, high: int = 255) -> Color:
    """Return a random color."""
    return tuple(rng.randint(low, high) for _ in range(3))


def draw_invoice(form: random.Random, content: random.Random) -> Image.Image:
    """Draw a form with a table."""
    image = Image.new("RGB", (600, 800), "white")
    draw, ink = ImageDraw.Draw(image), color(form, 0, 140)
    draw.rectangle((40, 40, 140, 90), fill=ink)
    draw.text((160, 45), words(form, 2), font=font(30), fill=ink)
    draw.text((40, 110), words(form, 8), font=font(14), fill="black")
    draw.text((380, 150), "INVOICE", font=font(36), fill=ink)
    rows = form.randint(5, 9)
    for line in range(5):
        draw.text((40, 160 + 24 * line), f"{words(form, 1)}:", font=font(16), fill="black")
        draw.text((150, 160 + 24 * line), words(content, 2), font=font(16), fill="black")
    for row in range(rows + 1):
        draw.line((40, 320 + 40 * row, 560, 320 + 40 * row), fill="gray")
    for x in (40, 300, 400, 480, 560):
        draw.line((x, 320, x, 320 + 40 * rows), fill="gray")
    for row in range(rows):
        draw.text((50, 330 + 40 * row), words(content, 2), font=font(15), fill="black")
        for x in (310, 410, 490):
            draw.text((x, 330 + 40 * row), f"{content.randint(1, 9999) / 100:.2f}", font=font(15), fill="black")
    draw.text((40, 760), words(form, 10), font=font(12), fill="gray")
    return image


def draw_card(form: random.Random, content: random.Random) -> Image.Image:
    """Draw the back of a card, with suits on it."""
    image = Image.new("RGB", (360, 500), "white")
    draw, ink, step = ImageDraw.Draw(image), color(form, 0, 200), form.choice((18, 24, 30))
    draw.rounded_rectangle((8, 8, 351, 491), 20, outline=ink, width=6)
    for y in range(30, 470, step):
        for x in range(30, 330, step):
            third = step // 3
            draw.polygon([(x, y - third), (x + third, y), (x, y + third), (x - third, y)], outline=ink)
    for _suit in range(content.randint(1, 3)):
        x, y, fill = content.randint(60, 300), content.randint(70, 430), color(content)
        shape = content.choice(("disk", "square", "triangle"))
        if shape == "disk":
            draw.ellipse((x - 40, y - 40, x + 40, y + 40), fill=fill)
        elif shape == "square":
            draw.rectangle((x - 40, y - 40, x + 40, y + 40), fill=fill)
        else:
            draw.polygon([(x, y - 40), (x + 40, y + 40), (x - 40, y + 40)], fill=fill)
    return image


def draw_wallpaper(form: random.Random, content: random.Random) -> Image.Image:
    """Draw words on a dark gradient."""
    top, bottom = np.array(color(form, 0, 70)), np.array(color(form, 0, 70))
    share = np.linspace(0, 1, 360)[:, None, None]
    levels = (top * (1 - share) + bottom * share) * np.ones((360, 640, 1))
    image = Image.fromarray(levels.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for line in range(content.randint(1, 3)):
        place = content.randint(30, 120), 90 + 70 * line
        draw.text(place, words(content, 3), font=font(44), fill=(230, 230, 230))
    return image


def draw_chart(form: random.Random, content: random.Random) -> Image.Image:
    """Draw two curves over the same axes."""
    image = Image.new("RGB", (640, 420), "white")
    draw = ImageDraw.Draw(image)
    draw.text((200, 10), words(form, 3), font=font(22), fill="black")
    for row in range(6):
        draw.line((60, 40 + row * 66, 610, 40 + row * 66), fill=(220, 220, 220))
        draw.text((20, 34 + row * 66), str(100 - 20 * row), font=font(14), fill="black")
    draw.line((60, 40, 60, 370, 610, 370), fill="black")
    for ink in ((200, 40, 40), (40, 80, 200)):
        y, points = 200, []
        for x in range(60, 610, 25):
            y = min(360, max(50, y + content.randint(-60, 60)))
            points.append((x, y))
        draw.line(points, fill=ink, width=3)
    return image


def draw_logo(form: random.Random, content: random.Random) -> Image.Image:
    """Draw a sign in a disk."""
    image = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 40, 260, 260), fill=color(form, 0, 200))
    letter, size = content.choice("ABCDEFGHKMNPRSTUVWXYZ"), content.randint(90, 130)
    draw.text((150, 150), letter, font=font(size), fill="white", anchor="mm")
    return image


def draw_screen(form: random.Random, content: random.Random) -> Image.Image:
    """Draw the screen of an app with a list."""
    image = Image.new("RGB", (360, 640), (245, 245, 248))
    draw, ink = ImageDraw.Draw(image), color(form, 20, 200)
    draw.rectangle((0, 0, 360, 60), fill=ink)
    draw.text((20, 18), words(form, 2), font=font(24), fill="white")
    for row in range(6):
        y = 80 + row * 90
        draw.rounded_rectangle((12, y, 348, y + 78), 10, fill="white", outline=(220, 220, 225))
        draw.ellipse((24, y + 14, 74, y + 64), fill=color(content, 60, 220))
        draw.text((90, y + 14), words(content, 2), font=font(18), fill="black")
        draw.text((90, y + 44), words(content, 4)[:36], font=font(13), fill="gray")
    draw.rectangle((0, 590, 360, 640), fill="white")
    for column in range(4):
        draw.ellipse((30 + column * 90, 600, 60 + column * 90, 630), outline=ink, width=3)
    return image


def draw_package(form: random.Random, content: random.Random) -> Image.Image:
    """Draw a package of one brand, in another flavor."""
    image = Image.new("RGB", (360, 520), (235, 235, 230))
    draw = ImageDraw.Draw(image)
    draw.rectangle((60, 40, 300, 480), fill=color(form, 30, 200))
    draw.text((90, 70), words(form, 1), font=font(48), fill="white")
    draw.rectangle((60, 300, 300, 360), fill=color(content, 40, 230))
    draw.text((80, 310), words(content, 1), font=font(34), fill="white")
    draw.text((80, 390), words(form, 5)[:30], font=font(16), fill="white")
    for fruit in range(5):
        x, y = 90 + 40 * fruit, 190 + fruit % 2 * 30
        draw.ellipse((x, y, x + 40, y + 40), fill=color(form, 80, 255))
    return image


TEMPLATES: dict[str, Callable[[random.Random, random.Random], Image.Image]] = {
    "invoice": draw_invoice,
    "card": draw_card,
    "wallpaper": draw_wallpaper,
    "chart": draw_chart,
    "logo": draw_logo,
    "screen": draw_screen,
    "package": draw_package,
}


def draw_pair(template: str, number: int) -> tuple[Pixels, Pixels]:
    """Draw two pictures of one template, filled in differently; the same ones in every run."""
    first, second = (
        np.asarray(TEMPLATES[template](random.Random(number), random.Random(f"{number} {side}")), np.uint8)
        for side in "ab"
    )
    return first, second
