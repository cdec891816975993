"""The products of the shop: created from photos, and deleted with their files."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator

from django.core.files import File
from django.db import transaction
from django.utils.text import slugify

from project.catalog.models import Category, Product
from project.catalog.photos import Photo

PRODUCTS_PER_TRANSACTION = 50

logger = logging.getLogger(__name__)


def select_new(photos: Iterable[Photo]) -> list[Photo]:
    """Return the photos without a product, shuffled the same way every time."""
    slugs = set(Product.objects.values_list("slug", flat=True))
    # The newest products come first: in the order of the folders, the first page would show a single category.
    return sorted((photo for photo in photos if photo.slug not in slugs), key=lambda photo: photo.digest)


def create_products(photos: list[Photo]) -> Iterator[Product]:
    """Create and yield a product for every readable photo, some in a transaction."""
    categories = {name: get_category(name) for name in {photo.category for photo in photos}}
    for start in range(0, len(photos), PRODUCTS_PER_TRANSACTION):
        with transaction.atomic():
            for photo in photos[start : start + PRODUCTS_PER_TRANSACTION]:
                try:
                    file = photo.path.open("rb")
                except OSError as error:
                    logger.warning("%s is skipped: %s", photo.path, error.strerror)
                    continue
                with file:
                    product = Product(
                        category=categories[photo.category],
                        name=photo.name[:200],
                        slug=photo.slug,
                        price=photo.price,
                        photo=File(file, photo.slug + photo.path.suffix.lower()),
                        collection=photo.collection,
                    )
                    product.save()
                yield product


def delete_other_collections(collection: str) -> int:
    """Delete the products of other collections with their files, but none that were added by hand; return how many."""
    queryset = Product.objects.exclude(collection__in=(collection, ""))
    categories = list(queryset.values_list("category", flat=True).distinct())
    products = list(queryset.only("photo"))
    with transaction.atomic():
        queryset.delete()
        Category.objects.filter(pk__in=categories, products=None).delete()
    for product in products:
        product.photo.delete(save=False)
    return len(products)


def get_category(name: str) -> Category:
    """Return the category of this name; create it if it does not exist."""
    slug = slugify(name)[:100] or hashlib.sha256(name.encode()).hexdigest()[:8]
    return Category.objects.get_or_create(slug=slug, defaults={"name": name[:100]})[0]
