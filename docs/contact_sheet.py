"""Draw the first six similar items of 40 products of the demo shop: `make screenshots`.

A line under a match is thick where the match is of the query's family, thin where it is of its category, and missing
elsewhere, by `project/catalog/images.csv`. What a person would accept is counted by looking.
"""

from __future__ import annotations

import io
import json
import random
import re
import urllib.request
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from project.catalog import listings

PRODUCTS, MATCHES, SEED = 40, 6, 11
CELL, GAP, COLUMNS = 96, 6, 2
INK, PAPER = "#2f5d50", "#ffffff"


def main(site: str, path: Path) -> None:
    """Ask the shop for the matches, and draw them."""
    truth = {
        row["product"]: (row["family"], row["category"]) for row in listings.read_table(listings.CATALOG / "images.csv")
    }
    products = random.Random(SEED).sample(sorted(truth), PRODUCTS)  # noqa: S311 - a repeatable sample; no secret
    block = (MATCHES + 1) * (CELL + GAP) + 4 * GAP
    rows = PRODUCTS // COLUMNS
    sheet = Image.new("RGB", (COLUMNS * block, rows * (CELL + 3 * GAP) + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    counts = [0, 0]
    for number, product in enumerate(products):
        left, top = number // rows * block + GAP, number % rows * (CELL + 3 * GAP) + GAP
        page = fetch(f"{site}/products/{product}/").decode()
        key = re.search(r"/catalog\.product/(\d+)/", page)
        assert key, product
        matches = json.loads(fetch(f"{site}/api/similar-images/catalog.product/{key[1]}/similar/?limit={MATCHES}"))[
            "results"
        ]
        sheet.paste(load(page, site), (left, top))
        for position, match in enumerate(matches):
            x = left + (position + 1) * (CELL + GAP) + 2 * GAP
            sheet.paste(
                cut(fetch(site + match["image"] if match["image"].startswith("/") else match["image"])), (x, top)
            )
            found = truth[match["url"].rstrip("/").rsplit("/", 1)[1]]
            same = [mine == other for mine, other in zip(truth[product], found, strict=True)]
            counts = [count + each for count, each in zip(counts, same, strict=True)]
            if same[1]:
                draw.rectangle((x, top + CELL + 1, x + CELL, top + CELL + (5 if same[0] else 2)), INK)
    sheet.save(path, quality=82)
    print(
        f"{PRODUCTS} products: {counts[0]} of {PRODUCTS * MATCHES} matches of the family, {counts[1]} of the category"
    )


def load(page: str, site: str) -> Image.Image:
    source = re.search(r'id="view-1"><img[^>]* src="([^"]+)"', page)
    assert source
    return cut(fetch(site + source[1]))


def cut(data: bytes) -> Image.Image:
    return ImageOps.pad(Image.open(io.BytesIO(data)).convert("RGB"), (CELL, CELL), color="#efeeec")


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - the demo that was started here
        return bytes(answer.read())
