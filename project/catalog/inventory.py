"""The products of the shop: created from listings, and deleted with their files."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import IO

from django.core.files import File
from django.db import transaction
from django.utils.text import slugify

from project.catalog.listings import Listing
from project.catalog.models import Category, Product, ProductImage

PRODUCTS_PER_TRANSACTION = 50

logger = logging.getLogger(__name__)


def select_new(listings: Iterable[Listing]) -> list[Listing]:
    """Return the listings without a product, shuffled the same way every time."""
    slugs = set(Product.objects.values_list("slug", flat=True))
    # The newest products come first: in the order of the folders, the first page would show a single category.
    return sorted((listing for listing in listings if listing.slug not in slugs), key=lambda listing: listing.digest)


def create_products(listings: list[Listing]) -> Iterator[Product]:
    """Create and yield a product for every listing whose files are readable, some in a transaction."""
    categories = {name: get_category(name) for name in {listing.category for listing in listings}}
    for start in range(0, len(listings), PRODUCTS_PER_TRANSACTION):
        with transaction.atomic():
            for listing in listings[start : start + PRODUCTS_PER_TRANSACTION]:
                with ExitStack() as stack:
                    try:
                        files = [stack.enter_context(path.open("rb")) for path in listing.photos]
                    except OSError as error:
                        logger.warning("%s is skipped: %s", error.filename, error.strerror)
                        continue
                    product = create_product(listing, categories[listing.category], files)
                yield product


def create_product(listing: Listing, category: Category, files: Sequence[IO[bytes]]) -> Product:
    """Create a product; the first file is its photo, the others are its images."""
    photo, *others = [
        File(file, f"{listing.slug}-{number}{path.suffix.lower()}" if number else listing.slug + path.suffix.lower())
        for number, (path, file) in enumerate(zip(listing.photos, files, strict=True))
    ]
    product = Product.objects.create(
        category=category,
        name=listing.name[:200],
        slug=listing.slug,
        price=listing.price,
        description=listing.description,
        photo=photo,
        collection=listing.collection,
    )
    for position, file in enumerate(others, 1):
        ProductImage.objects.create(product=product, image=file, position=position)
    return product


def delete_other_collections(collection: str) -> int:
    """Delete the products of other collections with their files, but none that were added by hand; return how many."""
    queryset = Product.objects.exclude(collection__in=(collection, ""))
    categories = list(queryset.values_list("category", flat=True).distinct())
    files = [product.photo for product in queryset.only("photo")]
    count = len(files)
    files += [image.image for image in ProductImage.objects.filter(product__in=queryset).only("image")]
    with transaction.atomic():
        queryset.delete()
        Category.objects.filter(pk__in=categories, products=None).delete()
    for file in files:
        file.delete(save=False)
    return count


def get_category(name: str) -> Category:
    """Return the category of this name; create it if it does not exist."""
    slug = slugify(name)[:100] or hashlib.sha256(name.encode()).hexdigest()[:8]
    return Category.objects.get_or_create(slug=slug, defaults={"name": name[:100]})[0]
