from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from PIL import Image

from project.catalog import filling, pictures
from project.catalog.models import Category, Product
from similar_images.models import IndexedImage

from .. import drawing

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty pictures on two shelves, one of them broken."""
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


def fill(folder: Path) -> list[Product]:
    return list(filling.fill(filling.missing(pictures.of_folder(folder))))


def test_filling_makes_a_product_of_every_picture_and_asks_for_its_indexing(folder: Path) -> None:
    products = fill(folder)
    assert len(products) == Product.objects.count() == IndexedImage.objects.count() == 60
    assert sorted(Category.objects.values_list("name", flat=True)) == ["Chairs", "Tables"]
    assert all(default_storage.exists(product.photo.name) for product in products)


def test_filling_again_adds_what_is_new(folder: Path) -> None:
    fill(folder)
    assert fill(folder) == []
    Image.new("RGB", (8, 8)).save(folder / "chairs" / "late.png")
    assert [product.name for product in fill(folder)] == ["Late"]


def test_a_picture_that_cannot_be_read_is_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    todo = filling.missing(pictures.of_folder(folder))
    os.remove(todo[3].path)
    with caplog.at_level(logging.WARNING):
        assert len(list(filling.fill(todo))) == 59
    assert str(todo[3].path) in caplog.text


def test_another_folder_takes_the_place_of_the_first(folder: Path, product: Product) -> None:
    (gone, *_) = fill(folder)
    assert filling.clear_others("/elsewhere") == 60
    assert list(Product.objects.all()) == [product]
    assert list(Category.objects.all()) == [product.category]
    assert not default_storage.exists(gone.photo.name)
    assert default_storage.exists(product.photo.name)


def test_categories_with_names_in_any_script_are_kept_apart() -> None:
    first, second = filling.category("椅子"), filling.category("テーブル")
    assert first != second
    assert first == filling.category("椅子")


def test_the_list_shows_a_page_with_few_queries(
    client: Client, folder: Path, django_assert_max_num_queries: Any
) -> None:
    fill(folder)
    with django_assert_max_num_queries(4):
        page = client.get("/", {"page": 2})
    assert page.content.count(b'<article class="card">') == 24
    assert b'href="?page=3"' in page.content


def test_a_category_shows_its_own(client: Client, folder: Path, product: Product) -> None:
    fill(folder)
    page = client.get("/categories/chairs/")
    assert b"31 products" in page.content
    assert client.get("/categories/none/").status_code == 404


def test_the_page_of_a_product_leads_to_what_is_similar(client: Client, product: Product) -> None:
    page = client.get(product.get_absolute_url())
    assert f'href="/similar-images/catalog.product/{product.pk}/"'.encode() in page.content
    assert b'href="/similar-images/search/"' in page.content


def test_only_staff_see_what_is_not_published(client: Client, admin_client: Client, product: Product) -> None:
    Product.objects.update(published=False)
    assert client.get(product.get_absolute_url()).status_code == 404
    assert b"Oak chair" not in client.get("/").content
    assert b"Not published" in admin_client.get(product.get_absolute_url()).content
    assert b"not published" in admin_client.get("/").content


def test_the_pages_of_the_app_look_like_the_shop(client: Client, product: Product) -> None:
    page = client.get("/similar-images/search/")
    assert b"Lookalike Shop" in page.content


def test_the_admin_lists_products_with_their_pictures(admin_client: Client, product: Product) -> None:
    page = admin_client.get("/admin/catalog/product/")
    assert product.photo.url.encode() in page.content
    assert admin_client.get(f"/admin/catalog/product/{product.pk}/change/").status_code == 200


def test_the_pages_need_no_inline_code(client: Client, product: Product) -> None:
    for url in ("/", product.get_absolute_url()):
        content = client.get(url).content
        assert b"<style" not in content
        assert b"style=" not in content
        assert b"<script>" not in content
