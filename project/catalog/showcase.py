"""The shop as a site of the demo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.urls import reverse

from project.catalog import inventory
from project.catalog.listings import Listing
from project.catalog.models import Product
from project.demo.site import DemoSite


class Shop(DemoSite):
    """The shop."""

    name = "shop"

    def add(self, found: list[Listing]) -> tuple[int, Iterator[object]]:
        """Return the number of new products, and what creates them; those of other collections are deleted."""
        inventory.delete_other_collections(found[0].collection)
        missing = inventory.select_new(found)
        return len(missing), inventory.create_products(missing)

    def addresses(self, login: str) -> Iterable[tuple[str, str]]:
        """Yield the pages of the shop, with an example of those that are of a product."""
        product = Product.objects.filter(published=True).first()
        example = f"{Product._meta.label_lower}/{product.pk}/" if product else ""
        yield "Shop", reverse("catalog:products")
        yield "Similar items, e.g.", f"/similar-images/{example}"
        yield "Search by image", "/similar-images/search/"
        yield "Compare two images", "/similar-images/compare/"
        yield "Admin", f"{reverse('admin:index')}  {login}"
        yield "API, e.g.", f"/api/similar-images/{example}similar/"
        yield "API: status", "/api/similar-images/status/"
        yield "API: schema", "/api/similar-images/schema/"
