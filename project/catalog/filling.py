"""Puts pictures into the shop as products."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator

from django.core.files import File
from django.db import transaction
from django.utils.text import slugify

from project.catalog.models import Category, Product
from project.catalog.pictures import Picture

CHUNK = 50

logger = logging.getLogger(__name__)


def missing(pictures: Iterable[Picture]) -> list[Picture]:
    """The pictures that no product was made of yet, shuffled the same way every time."""
    known = set(Product.objects.values_list("slug", flat=True))
    # The newest come first in the shop: its first page had else one category only.
    return sorted((picture for picture in pictures if picture.slug not in known), key=lambda picture: picture.digest)


def fill(pictures: list[Picture]) -> Iterator[Product]:
    """Make a product of every picture, chunk by chunk."""
    categories = {name: category(name) for name in {picture.category for picture in pictures}}
    for start in range(0, len(pictures), CHUNK):
        with transaction.atomic():
            for picture in pictures[start : start + CHUNK]:
                try:
                    photo = picture.path.open("rb")
                except OSError as error:
                    logger.warning("%s is left out: %s", picture.path, error.strerror)
                    continue
                with photo:
                    product = Product(
                        category=categories[picture.category],
                        name=picture.name[:200],
                        slug=picture.slug,
                        price=picture.price,
                        photo=File(photo, picture.slug + picture.path.suffix.lower()),
                        collection=picture.collection,
                    )
                    product.save()
                yield product


def clear_others(collection: str) -> int:
    """Take the products of other collections out of the shop, with their files; those made by hand stay."""
    others = Product.objects.exclude(collection__in=(collection, ""))
    emptied = list(others.values_list("category", flat=True).distinct())
    gone = list(others.only("photo"))
    with transaction.atomic():
        others.delete()
        Category.objects.filter(pk__in=emptied, products=None).delete()
    for product in gone:
        product.photo.delete(save=False)
    return len(gone)


def category(name: str) -> Category:
    slug = slugify(name)[:100] or hashlib.sha256(name.encode()).hexdigest()[:8]
    return Category.objects.get_or_create(slug=slug, defaults={"name": name[:100]})[0]
