"""Tests of a shop with Oscar, which Django's own runner runs in a process of its own."""

from __future__ import annotations

import itertools
import re
from decimal import Decimal
from typing import Any
from unittest import mock

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core import checks
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.template import Context, Template
from django.test import Client, TestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from oscar.core.loading import get_class, get_model

import similar_images
from similar_images import registry
from similar_images.contrib.oscar.apps import default_options
from similar_images.contrib.oscar.dashboard import SimilarProductsPanel, Upload, extend_product_view, report_copies
from similar_images.indexing import claims, worker
from similar_images.models import IndexedImage, Mark
from similar_images.sources.anonymous import make_anonymous_request
from tests import drawing

Product: Any = get_model("catalogue", "Product")
ProductImage: Any = get_model("catalogue", "ProductImage")
ProductClass: Any = get_model("catalogue", "ProductClass")
Category: Any = get_model("catalogue", "Category")
Partner: Any = get_model("partner", "Partner")
StockRecord: Any = get_model("partner", "StockRecord")

PAGES = "/similar-images"
API = "/api/similar-images"
RENDER = "{% load product_tags %}{% render_product one %}"
NEVER = 987654
"""A key that no object ever had."""

LIMIT = "similar_images.contrib.oscar.dashboard.MAX_REPORT_SECONDS"
IS_FORKED = "tests" in settings.DASHBOARD

keys = itertools.count(600_000)
"""Keys of as many digits, which no other numbers on a page have."""


def tag(options: str = "") -> str:
    """Return a template that lists the titles of what the template tag finds."""
    search = f"{{% load similar_images_oscar %}}{{% similar_products product {options} as found %}}"
    return search + "{% for one in found %}<li>{{ one }}</li>{% endfor %}"


def count(queries: CaptureQueriesContext) -> int:
    """Return the number of queries, without statements that begin and end transactions within that of a test."""
    return sum("SAVEPOINT" not in query["sql"] for query in queries)


def index_now() -> None:
    while records := claims.claim_batch():
        worker.index_records(records)


def encoded(seed: int, quality: int = 90) -> bytes:
    return drawing.encoded(drawing.textured(seed), "JPEG", quality=quality)


class OscarTest(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        cls.kind = ProductClass.objects.create(name="Chair", track_stock=False)
        cls.category = Category.add_root(name="Chairs")
        cls.partner = Partner.objects.create(name="Partner")
        cls.staff = User.objects.create_user("staff", email="staff@shop.example", is_staff=True)
        cls.admin = User.objects.create_superuser("admin", email="admin@shop.example")
        cls.visitor = User.objects.create_user("visitor", email="visitor@shop.example")
        cls.seller = User.objects.create_user("seller", email="seller@shop.example")
        products = Permission.objects.filter(content_type__app_label="catalogue", codename__endswith="_product")
        cls.staff.user_permissions.add(*products)
        cls.seller.user_permissions.add(Permission.objects.get(codename="dashboard_access"))
        cls.partner.users.add(cls.seller)

    @classmethod
    def make(cls, title: str, *seeds: int, parent: Any = None, is_public: bool = True, partner: Any = None) -> Any:
        """Return a product with an image of each seed; of the same seed, they look almost the same."""
        structure = Product.CHILD if parent else Product.STANDALONE
        product = Product.objects.create(
            pk=next(keys),
            title=title,
            structure=structure,
            parent=parent,
            is_public=is_public,
            product_class=None if parent else cls.kind,
        )
        if parent and not parent.is_parent:
            parent.structure = Product.PARENT
            parent.save()
        if not parent:
            product.categories.add(cls.category)
        for order, seed in enumerate(seeds):
            quality = 60 + ProductImage.objects.count() % 35  # no two files are the same
            file = ContentFile(encoded(seed, quality), name=f"{title}.jpg")
            ProductImage.objects.create(pk=next(keys), product=product, original=file, display_order=order)
        if partner:
            cls.stock(product, partner)
        return product

    @staticmethod
    def stock(product: Any, partner: Any) -> None:
        sku = f"{partner.pk}-{product.pk}"
        StockRecord.objects.create(product=product, partner=partner, partner_sku=sku, price=Decimal(9))

    def request(self, user: Any = None) -> Any:
        """Return a request of the shop, as its middleware makes it."""
        request = make_anonymous_request()
        request.user = user or request.user
        request.strategy = get_class("partner.strategy", "Selector")().strategy(request=request, user=request.user)
        request.basket = get_model("basket", "Basket")()
        request.basket.strategy = request.strategy
        return request

    def tagged(self, product: Any, user: Any = None, template: str = tag("limit=6 fold=False")) -> list[str]:
        """Return the titles that a template lists."""
        html = Template(template).render(
            Context({"product": product, "request": self.request(user), "plain": Product.objects.public()})
        )
        return re.findall("<li>(.*?)</li>", html, re.DOTALL)


class SourceTest(OscarTest):
    def test_source__is_the_images_of_products(self) -> None:
        (source,) = registry.get_sources()
        assert (source.model, source.field_name, source.result_model) == (ProductImage, "original", Product)
        assert [m for m in checks.run_checks() if (m.id or "").startswith("similar_images.E")] == []
        product, variant = self.make("Oak", 1), None
        variant = self.make("Oak, oiled", 2, parent=product)
        index_now()
        assert set(IndexedImage.objects.values_list("status", flat=True)) == {"indexed"}
        other = self.make("Ash", 2)
        index_now()
        (match,) = similar_images.similar_to(other)
        assert (match.object, match.image_object.product) == (product, variant)
        assert (match.title, match.url) == ("Oak", product.get_absolute_url())

    def test_source__shows_thumbnails_by_the_library_of_the_shop(self) -> None:
        product, other = self.make("Oak", 1), self.make("Ash", 1)
        index_now()
        (match,) = similar_images.similar_to(product)
        assert "/cache/" in match.thumbnail.url  # sorl-thumbnail's folder
        assert match.object == other
        assert default_options()["thumbnail"] == "similar_images.thumbnails.sorl_thumbnail"
        with override_settings(OSCAR_THUMBNAILER="oscar.core.thumbnails.EasyThumbnails"):
            assert default_options()["thumbnail"] is None  # easy-thumbnails is not among the apps
        with override_settings(OSCAR_THUMBNAILER="oscar.core.thumbnails.AbstractThumbnailer"):
            assert default_options()["thumbnail"] is None

    def test_source__keeps_what_the_shop_registered(self) -> None:
        before = dict(registry._sources)
        registry._sources.clear()
        similar_images.register(ProductImage, "original", title=lambda product: f"Chair {product.title}")
        try:
            apps.get_app_config("similar_images_oscar").ready()
            source = registry.get_source(ProductImage)
            assert source.get_title(Product(title="Oak")) == "Chair Oak"
            assert "visible_products" in str(source.visible)
            assert source.result_model is Product
        finally:
            registry._sources.clear()
            registry._sources.update(before)

    def test_source__without_a_rule_is_an_error_of_check(self) -> None:
        before = dict(registry._sources)
        similar_images.register(ProductImage, "original")
        try:
            (found,) = (message for message in checks.run_checks() if message.id == "similar_images.E022")
            assert "similar_images.contrib.oscar" in str(found.hint)
        finally:
            registry._sources.update(before)


class TagTest(OscarTest):
    def test_tag__finds_products_by_all_images_of_the_family_and_never_the_family(self) -> None:
        parent = self.make("Oak", 1)
        oiled, painted = self.make("Oiled", 2, parent=parent), self.make("Painted", 3, parent=parent)
        bare = self.make("Bare", parent=parent)
        for seed in (1, 2, 3):
            self.make(f"Like {seed}", seed)
        index_now()
        for product in (parent, oiled, painted, bare):
            found = sorted(self.tagged(product))
            assert found == ["Like 1", "Like 2", "Like 3"], (product, found)

    def test_tag_and_panel__find_products_by_images_of_their_variants(self) -> None:
        product, other = self.make("Oak", 1), self.make("Ash", 9)
        self.make("Oiled", 1, parent=other)
        index_now()
        assert self.tagged(product, template=tag("min_similarity=90")) == ["Ash"]
        panel = SimilarProductsPanel(product, self.request(self.staff))
        assert [(match.title, match.similarity > 90) for match in panel.matches] == [("Ash", True)]

    def test_tag__fills_the_page_however_many_images_products_have(self) -> None:
        product = self.make("Oak", 1)
        for number in range(7):
            parent = self.make(f"Like {number}", *[10 + number] * 3)
            self.make(f"Variant {number}", *[10 + number] * 2, parent=parent)
        index_now()
        found = self.tagged(product)
        assert len(found) == len(set(found)) == 6, found
        assert all(title.startswith("Like") for title in found)

    def test_tag__takes_a_fixed_number_of_queries(self) -> None:
        product = self.make("Oak", 1)
        for number in range(6):
            self.make(f"Like {number}", 10 + number, 20 + number, partner=self.partner)
        index_now()
        self.tagged(product, template=tag("limit=6 fold=False").replace("{{ one }}", RENDER))  # makes the thumbnails
        counts = {}
        for limit in (1, 6):
            found, plain = (tag(f"limit={limit}{more}") for more in ("", " queryset=plain"))
            for name, template in (
                ("found", found),
                ("plain", plain),
                ("rendered", found.replace("{{ one }}", RENDER)),
            ):
                with CaptureQueriesContext(connection) as queries:
                    assert len(self.tagged(product, template=template)) == limit
                counts[name, limit] = count(queries)
        assert counts["plain", 6] <= 8
        assert counts["found", 1] == counts["found", 6] == counts["rendered", 1] == counts["rendered", 6], counts
        assert counts["found", 6] == counts["plain", 6] + 5, counts  # what Oscar's base_queryset() prefetches

    def test_tag__searches_when_a_product_is_asked_for(self) -> None:
        product, _other = self.make("Oak", 1), self.make("Ash", 1)
        index_now()
        with CaptureQueriesContext(connection) as queries:
            self.tagged(product, template="{% load similar_images_oscar %}{% similar_products product as found %}")
        assert len(queries) == 0

    def test_tag__takes_options_of_a_search(self) -> None:
        product, _ash, _elm = self.make("Oak", 1), self.make("Ash", 1), self.make("Elm", 5)
        index_now()
        assert self.tagged(product, template=tag("limit=1")) == ["Ash"]
        assert self.tagged(product, template=tag("min_similarity=100")) == []
        assert self.tagged(product, template=tag("min_similarity=100 fallback='newest' limit=2")) == ["Elm", "Ash"]
        assert self.tagged(None) == self.tagged("Oak") == []


class PrivacyTest(OscarTest):
    """A hidden product is as if it were not there: on every surface, in every way to be hidden, for every visitor."""

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.other_partner = Partner.objects.create(name="Other")
        cls.oak = cls.make("Oak", 1, partner=cls.partner)
        cls.shown = cls.make("Shown", 1, partner=cls.partner)
        cls.parent = cls.make("Hidden parent", 1, is_public=False)
        cls.hidden = {
            "not public": cls.make("Hidden product", 1, is_public=False),
            "parent": cls.parent,
            "child of a hidden parent": cls.make("Hidden child", 1, parent=cls.parent),
            "hidden child": cls.make("Hidden variant", 1, parent=cls.shown, is_public=False),
            "deleted": cls.make("Hidden and deleted", 1),
        }
        cls.hidden_keys = {kind: (each.pk, each.images.get().pk) for kind, each in cls.hidden.items()}
        index_now()
        cls.hidden.pop("deleted").delete()
        cls.visitors = {"anonymous": None, "user": cls.visitor, "staff": cls.staff, "partner": cls.seller}

    def clients(self) -> list[tuple[str, Any, Client]]:
        """Return the name of each visitor, the user, and a client that is logged in."""
        clients = []
        for name, user in self.visitors.items():
            client = Client()
            if user:
                client.force_login(user)
            clients.append((name, user, client))
        return clients

    def test_tag_and_widget__show_nothing_hidden(self) -> None:
        widget = "{% load similar_images %}{% similar_items_widget product fold=False fallback='newest' %}"
        for _name, user, _client in self.clients():
            assert self.tagged(self.oak, user) == ["Shown"]
            assert self.tagged(self.oak, user, tag("fold=False fallback='newest' min_similarity=100")) == ["Shown"]
            context = Context({"product": self.oak, "request": self.request(user)})
            html = Template(widget).render(context)
            assert ("Shown" in html, "Hidden" in html) == (True, False)
            assert html.count("<li>") == 1, html

    def test_rest_and_pages__show_nothing_hidden(self) -> None:
        for _name, _user, client in self.clients():
            for label, pk in (("product", self.oak.pk), ("productimage", self.oak.images.get().pk)):
                answer = client.get(f"{API}/catalogue.{label}/{pk}/similar/?fold=false").json()
                assert [match["title"] for match in answer["results"]] == ["Shown"]
                html = client.get(f"{PAGES}/catalogue.{label}/{pk}/").content.decode()
                assert ("Shown" in html, "Hidden" in html) == (True, False)
            file = SimpleUploadedFile("photo.jpg", encoded(1))
            html = client.post(f"{PAGES}/search/", {"image": file}).content.decode()
            assert ("Shown" in html or "Oak" in html, "Hidden" in html) == (True, False)  # two that look the same

    def test_query_by_what_is_hidden__is_answered_as_by_what_is_missing(self) -> None:
        for index, (label, own) in enumerate((("product", self.oak.pk), ("productimage", self.oak.images.get().pk))):
            for address in (
                f"{API}/catalogue.{label}/{{pk}}/similar/",
                f"{API}/catalogue.{label}/{{pk}}/why-not/?other={own}",
                f"{PAGES}/catalogue.{label}/{{pk}}/",
                f"{API}/catalogue.{label}/{own}/similar/?like={{pk}}",
            ):
                self.compare_with_missing(address, index)

    def test_comparison_with_what_is_hidden__is_answered_as_with_what_is_missing(self) -> None:
        own = f"catalogue.productimage.original:{self.oak.images.get().pk}"
        self.compare_with_missing(f"{PAGES}/compare/?a={own}&b=catalogue.product:{{pk}}", 0)
        self.compare_with_missing(f"{PAGES}/compare/?a={own}&b=catalogue.productimage.original:{{pk}}", 1)
        shown = f"catalogue.productimage.original:{self.shown.images.get().pk}"
        assert "Shown" in self.client.get(f"{PAGES}/compare/?a={own}&b={shown}").content.decode()

    def compare_with_missing(self, address: str, index: int) -> None:
        """Compare the answers about what is hidden with the one about what is missing, for every visitor."""
        for name, _user, client in self.clients():
            expected = self.answer(client, address, NEVER)
            for kind, found in self.hidden_keys.items():
                with self.subTest(address=address, kind=kind, visitor=name):
                    answer = self.answer(client, address, found[index])
                    self.assertEqual(answer, expected)  # noqa: PT009 - it shows the difference

    def answer(self, client: Client, address: str, pk: int) -> tuple[int, str]:
        """Return status and text of an answer, without tokens of forms, the time, and the key that was asked for."""
        answer = client.get(address.replace("{pk}", str(pk)))
        text = re.sub(r'value="\w{64}"|<meta name="created" .*', "", answer.content.decode())
        return answer.status_code, re.sub(rf"\b{pk}\b", "PK", text)

    def test_product_page__of_the_shop_shows_nothing_hidden(self) -> None:
        Product.objects.filter(pk=self.parent.pk).update(structure=Product.PARENT)
        for _name, _user, client in self.clients():
            html = client.get(self.oak.get_absolute_url()).content.decode()
            block = html.split('id="similar-products"')[1]
            assert ("Shown" in block, "Hidden" in html) == (True, False)

    def test_dashboard__shows_what_the_user_may_open_there(self) -> None:
        self.stock(self.hidden["not public"], self.other_partner)
        url = reverse("dashboard:catalogue-product", args=[self.oak.pk])
        found = {}
        for name, _user, client in self.clients():
            answer = client.get(url)
            if answer.status_code == 200:
                panel = answer.context["similar_products"]
                found[name] = {match.title for match in panel.matches}
                assert all(match.title in answer.content.decode() for match in panel.matches)
        assert found == {"staff": {"Shown", "Hidden product", "Hidden parent"}, "partner": {"Shown"}}
        self.stock(self.hidden["child of a hidden parent"], self.partner)
        client = Client()
        client.force_login(self.seller)
        titles = {match.title for match in client.get(url).context["similar_products"].matches}
        assert titles == {"Shown", "Hidden parent"}


class DashboardTest(OscarTest):
    def setUp(self) -> None:
        self.oak = self.make("Oak", 1)
        self.ash = self.make("Ash", 2)
        index_now()
        self.client.force_login(self.staff)
        self.enterContext(mock.patch(LIMIT, 60))  # whatever else the machine does

    def save(self, *files: tuple[str, bytes], client: Any = None) -> list[str]:
        """Create a product with images as its page in the dashboard does, and return the warnings that follow."""
        image_fields: dict[str, Any] = {"images-TOTAL_FORMS": len(files), "images-INITIAL_FORMS": 0}
        for number, (name, data) in enumerate(files):
            image_fields[f"images-{number}-original"] = SimpleUploadedFile(name, data, "image/jpeg")
            image_fields[f"images-{number}-display_order"] = number
        fields = {
            "title": "New",
            "structure": Product.STANDALONE,
            "slug": "new",
            "is_public": "on",
            "is_discountable": "on",
            "priority": 0,
            "productcategory_set-TOTAL_FORMS": 1,
            "productcategory_set-INITIAL_FORMS": 0,
            "productcategory_set-0-category": self.category.pk,
            "stockrecords-TOTAL_FORMS": 1,
            "stockrecords-0-partner": self.partner.pk,
            "stockrecords-0-partner_sku": f"new-{next(keys)}",
            "stockrecords-0-price_currency": "GBP",
            "stockrecords-0-price": 9,
            "stockrecords-INITIAL_FORMS": 0,
            "primary_recommendations-TOTAL_FORMS": 0,
            "primary_recommendations-INITIAL_FORMS": 0,
            **image_fields,
        }
        url = reverse("dashboard:catalogue-product-create", args=[self.kind.slug])
        before = Product.objects.count()
        answer = (client or self.client).post(url, fields, follow=True)
        assert answer.redirect_chain, answer.context["form"].errors
        assert Product.objects.count() == before + 1
        assert Product.objects.first().images.count() == len(files)
        return [str(message) for message in answer.context["messages"] if message.level_tag == "warning"]

    def test_notice__names_products_whose_images_look_almost_the_same(self) -> None:
        (warning,) = self.save(("<new>.jpg", encoded(1, 50)), ("other.jpg", encoded(3)))
        url = reverse("dashboard:catalogue-product", args=[self.oak.pk])
        assert warning == (f'“&lt;new&gt;.jpg” looks almost the same as an image of <a href="{url}">Oak</a>.')
        with self.oak.images.get().original.open() as file:
            data = file.read()
        index_now()
        (warning,) = self.save(("same.jpg", data))
        assert "“same.jpg” is already an image of <a" in warning
        assert "Oak" in warning
        assert "New" in warning
        assert self.save() == []

    def test_notice__tells_nobody_of_products_that_they_may_not_open(self) -> None:
        self.stock(self.oak, self.partner)
        self.make("Elm", 1, partner=Partner.objects.create(name="Other"))
        index_now()
        (warning,) = self.save(("new.jpg", encoded(1, 50)))
        assert ">Oak</a>" in warning
        assert ">Elm</a>" in warning
        Product.objects.filter(title="New").delete()
        client = Client()
        client.force_login(self.seller)
        (warning,) = self.save(("new.jpg", encoded(1, 50)), client=client)
        assert ">Oak</a>" in warning
        assert ">Elm</a>" not in warning
        for user in (None, self.visitor):
            client = Client()
            if user:
                client.force_login(user)
            answer = client.post(reverse("dashboard:catalogue-product-create", args=[self.kind.slug]), {})
            assert answer.status_code in (302, 403)

    def test_notice__of_an_image_of_the_family_is_none(self) -> None:
        oiled = self.make("Oiled", 7, parent=self.oak)
        index_now()
        request = self.request(self.staff)
        request._messages = mock.Mock()
        for product in (self.oak, oiled):
            report_copies(request, product, [Upload("one.jpg", encoded(1, 50)), Upload("two.jpg", encoded(7, 50))])
        request._messages.add.assert_not_called()
        report_copies(request, self.ash, [Upload("two.jpg", encoded(7, 50))])
        (call,) = request._messages.add.call_args_list
        assert f'{reverse("dashboard:catalogue-product", args=[oiled.pk])}">Oiled</a>' in call.args[1]

    def test_save__neither_fails_nor_waits_for_the_notice(self) -> None:
        files = [("one.jpg", encoded(1, 50)), ("two.jpg", encoded(2, 50))]
        with self.settings(SIMILAR_IMAGES={**settings.SIMILAR_IMAGES, "SEARCH_MAX_BYTES": 10}):
            assert self.save(*files) == []
        with mock.patch(LIMIT, 0.0015), self.assertLogs("similar_images", "WARNING"):  # too short for any lookup
            assert self.save(*files[:1]) == []
        with mock.patch(LIMIT, 0), self.assertNoLogs("similar_images", "WARNING"):
            assert self.save(*files[:1]) == []
        assert len(self.save(*files[:1], ("elm.jpg", encoded(9)))) == 1

    def test_panel__of_a_product_by_the_images_of_its_family(self) -> None:
        oiled = self.make("Oiled", 2, parent=self.oak)
        bare = self.make("Bare")
        index_now()
        new = self.make("New", 9)
        for product in (self.oak, oiled):
            html = self.client.get(reverse("dashboard:catalogue-product", args=[product.pk])).content.decode()
            pane = html.split('id="similar_products"')[1].split("fixed-actions-group")[0]
            assert f'<a href="/dashboard/catalogue/products/{self.ash.pk}/">Ash</a>' in pane
            assert re.search(r"<td>(100|9\d)%</td>", pane)
            assert "/cache/" in pane
            assert ">Oak<" not in pane
            assert ">Oiled<" not in pane
        for product, text in ((bare, "This product has no images yet."), (new, "have not been processed yet")):
            html = self.client.get(reverse("dashboard:catalogue-product", args=[product.pk])).content.decode()
            assert text in html
        html = self.client.get(reverse("dashboard:catalogue-product-create", args=[self.kind.slug])).content.decode()
        assert "similar_products" not in html

    def test_view__that_the_shop_forked_keeps_its_template(self) -> None:
        (pattern,) = (
            each for each in apps.get_app_config("catalogue_dashboard").urls[0] if each.name == "catalogue-product"
        )
        view = pattern.callback.view_class
        assert extend_product_view(view) is view
        assert ("tests" in view.__mro__[2].__module__) == IS_FORKED
        html = self.client.get(reverse("dashboard:catalogue-product", args=[self.oak.pk])).content.decode()
        assert ("Fork: Oak" in html) == IS_FORKED
        assert ">Ash</a>" in html

    def test_navigation__has_what_the_user_may_open(self) -> None:
        find_nodes = get_class("dashboard.menu", "get_nodes")
        found = {}
        for user in (self.admin, self.staff, self.seller):
            nodes = [node for node in find_nodes(user) if node.label == "Similar images"]
            found[user.username] = [child.label for node in nodes for child in node.children]
        assert found == {"admin": ["Duplicates", "Health of the index"], "staff": [], "seller": []}
        self.client.force_login(self.admin)
        html = self.client.get(reverse("dashboard:index")).content.decode()
        for name in ("duplicates", "health"):
            url = reverse(f"admin:similar_images_{name}_changelist")
            assert url in html
            assert self.client.get(url).status_code == 200
        with self.settings(ROOT_URLCONF="tests.contrib.oscar.no_admin"):
            assert [node.label for node in find_nodes(self.admin) if node.label == "Similar images"] == []

    def test_marks__are_for_those_who_may_change_the_products(self) -> None:
        self.stock(self.oak, self.partner)
        url = f"{API}/catalogue.productimage/{self.oak.images.get().pk}/mark/"
        data = {"other": str(self.ash.images.get().pk), "alike": False}
        for user, status in ((self.visitor, 403), (self.seller, 403), (self.staff, 200)):
            self.client.force_login(user)
            assert self.client.post(url, data, content_type="application/json").status_code == status
        assert Mark.objects.count() == 1
        self.stock(self.ash, self.partner)
        self.client.force_login(self.seller)
        assert self.client.post(url, data, content_type="application/json").status_code == 200
