from __future__ import annotations

import html
import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import resolve
from PIL import Image

from project.catalog import inventory, listings
from project.catalog.models import Category, Product, ProductImage
from similar_images.models import IndexedImage

from .. import drawing

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty images in two folders, one of them broken."""
    for shelf in ("chairs", "tables"):
        (tmp_path / "goods" / shelf).mkdir(parents=True)
        for number in range(30):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "goods" / shelf / f"no{number}.png")
    (tmp_path / "goods" / "tables" / "no0.png").write_bytes(b"broken")
    return tmp_path / "goods"


@pytest.fixture
def product() -> Product:
    return Product.objects.create(
        category=Category.objects.create(name="Chairs", slug="chairs"),
        name="Oak chair",
        slug="oak-chair",
        price="12.50",
        photo=drawing.file(1),
    )


def stock(folder: Path) -> list[Product]:
    return list(inventory.create_products(inventory.select_new(listings.find_folder_listings(folder))))


def test_create_products__makes_one_of_every_photo_and_requests_its_indexing(folder: Path) -> None:
    products = stock(folder)
    assert len(products) == Product.objects.count() == IndexedImage.objects.count() == 60
    assert sorted(Category.objects.values_list("name", flat=True)) == ["Chairs", "Tables"]
    assert all(default_storage.exists(product.photo.name) for product in products)


def test_create_products__again_adds_only_new_ones(folder: Path) -> None:
    stock(folder)
    assert stock(folder) == []
    Image.new("RGB", (8, 8)).save(folder / "chairs" / "late.png")
    assert [product.name for product in stock(folder)] == ["Late"]


def test_create_products__with_all_images_of_the_catalog() -> None:
    listing = next(listing for listing in listings.read_catalog() if len(listing.photos) > 2)
    (product,) = inventory.create_products([listing])
    assert (product.name, product.price, product.description) == (listing.name, listing.price, listing.description)
    assert product.photo.size == listing.photos[0].stat().st_size
    sizes = [image.image.size for image in product.images.all()]
    assert sizes == [photo.stat().st_size for photo in listing.photos[1:]]


def test_create_products__skips_unreadable_files(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    selected = inventory.select_new(listings.find_folder_listings(folder))
    os.remove(selected[3].photos[0])
    with caplog.at_level(logging.WARNING):
        assert len(list(inventory.create_products(selected))) == 59
    assert str(selected[3].photos[0]) in caplog.text


def test_delete_other_collections__keeps_products_added_by_hand(folder: Path, product: Product) -> None:
    (deleted, *_) = stock(folder)
    assert inventory.delete_other_collections("/elsewhere") == 60
    assert list(Product.objects.all()) == [product]
    assert list(Category.objects.all()) == [product.category]
    assert not default_storage.exists(deleted.photo.name)
    assert default_storage.exists(product.photo.name)


def test_delete_other_collections__deletes_the_files_of_further_images() -> None:
    (product,) = inventory.create_products([next(each for each in listings.read_catalog() if len(each.photos) > 1)])
    image = ProductImage.objects.get(product=product, position=1).image
    inventory.delete_other_collections("/elsewhere")
    assert not default_storage.exists(image.name)


def test_category__of_names_in_any_script() -> None:
    first, second = inventory.get_category("椅子"), inventory.get_category("テーブル")
    assert first != second
    assert first == inventory.get_category("椅子")


def test_product_list__needs_few_queries(client: Client, folder: Path, django_assert_max_num_queries: Any) -> None:
    stock(folder)
    with django_assert_max_num_queries(4):
        page = client.get("/", {"page": 2})
    assert page.content.count(b'<article class="card">') == 24
    assert b'href="?page=3"' in page.content


def test_category_page__lists_its_products(client: Client, folder: Path, product: Product) -> None:
    stock(folder)
    page = client.get("/categories/chairs/")
    assert b"31 products" in page.content
    assert client.get("/categories/none/").status_code == 404


def test_product_page__links_to_similar_items(client: Client, product: Product) -> None:
    page = client.get(product.get_absolute_url())
    assert f'href="/similar-images/catalog.product/{product.pk}/"'.encode() in page.content
    assert b'href="/similar-images/search/"' in page.content


def test_product_page__shows_every_image(client: Client, product: Product) -> None:
    views = [ProductImage.objects.create(product=product, image=drawing.file(seed), position=seed) for seed in (2, 3)]
    content = client.get(product.get_absolute_url()).content.decode()
    for image in (product.photo, *(view.image for view in views)):
        assert content.count(f'src="{image.url}"') == 2


def test_developer_page__has_commands_whose_addresses_exist(client: Client, product: Product) -> None:
    assert b"No products yet" not in client.get("/developers/").content
    content = html.unescape(client.get("/developers/").content.decode())
    addresses = re.findall(r'curl .*?http://testserver(/[^\s"?<]*)', content)
    assert len(addresses) > 9
    assert "-F image=@photo.jpg -F model=catalog.product" in content  # the shop has several image fields
    for address in addresses:
        if not address.startswith("/media/"):
            resolve(address)


def test_api__may_be_read_by_the_react_page_alone(client: Client, product: Product) -> None:
    url = f"/api/similar-images/catalog.product/{product.pk}/similar/"
    origin = "http://127.0.0.1:5173"
    assert client.get(url, headers={"origin": origin}).headers["access-control-allow-origin"] == origin
    assert "access-control-allow-origin" not in client.get(url, headers={"origin": "http://example.com"}).headers
    assert "access-control-allow-origin" not in client.get("/", headers={"origin": origin}).headers


def test_unpublished_products__are_visible_to_staff_only(
    client: Client, admin_client: Client, product: Product
) -> None:
    Product.objects.update(published=False)
    assert client.get(product.get_absolute_url()).status_code == 404
    assert b"Oak chair" not in client.get("/").content
    assert b"Unpublished" in admin_client.get(product.get_absolute_url()).content
    assert b"Unpublished" in admin_client.get("/").content


def test_pages_of_the_app__use_the_template_of_the_shop(client: Client, product: Product) -> None:
    page = client.get("/similar-images/search/")
    assert b"Lookalike Shop" in page.content


def test_admin__lists_products_with_thumbnails(admin_client: Client, product: Product) -> None:
    page = admin_client.get("/admin/catalog/product/")
    assert product.photo.url.encode() in page.content
    assert admin_client.get(f"/admin/catalog/product/{product.pk}/change/").status_code == 200


def test_pages__have_no_inline_code(client: Client, product: Product) -> None:
    for url in ("/", product.get_absolute_url(), "/developers/"):
        content = client.get(url).content
        assert b"<style" not in content
        assert b"style=" not in content
        assert b"<script>" not in content
