"""Nobody learns of an object that `visible` hides: every visitor, every way to ask, every way to be hidden.

The answer about an object that may not be seen is, but for its key, that about one which was never there, and takes the
same statements. Nor does it show or count in answers about others, or in those that a cache has kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from functools import partial
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.cache import cache
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse
from django.utils import timezone
from PIL import Image

import similar_images
from similar_images import registry
from similar_images import urls as page_urls
from similar_images.admin import IndexedImageAdmin, MapAdmin, MarkAdmin, SimilarImagesMixin
from similar_images.api import urls as api_urls
from similar_images.forms.cursors import Cursor, write_cursor
from similar_images.models import IndexedImage, Map, Mark, Source
from similar_images.templatetags.similar_images import register as tags
from similar_images.widgets.widget import LAYOUTS, Widget, dump_widget
from tests import commands, drawing
from tests.databases import ALIAS, connection
from tests.testapp.models import Couple, FramedPicture, Item, Photo, Picture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("world")]

API = "/api/similar-images"
PAGES = "/similar-images"

VISITORS = ("anonymous", "user", "staff", "editor")

FEW = ("anonymous", "editor")
"""The visitors with the fewest rights and with the most."""

NEVER = 700_999
"""A key that no object of any model ever had; all keys have as many digits, so that answers are of the same length."""


class VisibleAdmin(SimilarImagesMixin, admin.ModelAdmin):
    """Lists what visitors may see, as the admin of a host does that has secrets among editors."""

    def get_queryset(self, request: HttpRequest) -> Any:
        return registry.get_source(self.model).visible_to(request)


site = admin.AdminSite()
site.register(Picture, VisibleAdmin)
site.register(Photo, VisibleAdmin, raw_id_fields=["item"])  # Django's own list of choices would have hidden ones
site.register(IndexedImage, IndexedImageAdmin)
site.register(Mark, MarkAdmin)
site.register(Map, MapAdmin)

urlpatterns = [
    path("", include("project.catalog.urls")),
    path("admin/", site.urls),
    path("similar-images/", include("similar_images.urls")),
    path("api/similar-images/", include("similar_images.api.urls")),
]


# --- who asks about what -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Family:
    """Objects of one name: the key of one that all may see, and those of objects that are hidden or not there.

    `visitors` ask about them: all of them about the first kind, the extremes about the others.
    """

    label: str
    shown: int
    unseen: Mapping[str, int]
    visitors: tuple[str, ...] = VISITORS

    @property
    def model(self) -> Any:
        return registry.get_model(self.label)


FAMILIES = {
    "picture": Family("testapp.picture", 600_001, {"hidden": 700_001, "deleted": 700_002, "other model's": 700_003}),
    "child": Family("testapp.framedpicture", 600_005, {"hidden": 700_005, "deleted": 700_006}, FEW),
    "photo": Family(
        "testapp.photo",
        600_021,
        {
            "hidden": 700_021,
            "hidden with its owner": 700_022,
            "hidden with its owner's parent": 700_023,
            "hidden with its variant": 700_024,
            "deleted": 700_025,
            "other model's": 700_003,
        },
        FEW,
    ),
    "owner": Family(
        "testapp.item",
        600_011,
        {"hidden": 700_011, "deleted": 700_012, "other model's": 700_003, "image's": 600_024},
        FEW,
    ),
}


def gray(level: int, name: str = "gray") -> Any:
    content = drawing.encoded(Image.new("RGB", (8, 8), (level, level, level)))
    return drawing.ContentFile(content, name=f"{name}-{level}.png")


def is_insider(request: HttpRequest) -> bool:
    return bool(request.user.is_superuser)


def visible_pictures(request: HttpRequest) -> Any:
    return Picture.objects.all() if is_insider(request) else Picture.objects.filter(published=True)


def visible_photos(request: HttpRequest) -> Any:
    if is_insider(request):
        return [Photo.objects.all(), Item.objects.all()]
    return [Photo.objects.exclude(image__contains="secret"), Item.objects.filter(published=True)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, settings: Any, configure: Any, mean_method: None, index_now: Any) -> None:
    """Objects of every state: visible ones are 600,000 and up, others 700,000 and up; all look alike."""
    settings.ROOT_URLCONF = __name__
    configure(WIDGET_CACHE="default", REQUEST_TIMEOUT=60)
    cache.clear()
    monkeypatch.setattr(registry, "_sources", registry._sources.copy())
    similar_images.register(Picture, "image", visible=visible_pictures, filters=["shelf"])
    owner = Coalesce("item__parent", "item")
    similar_images.register(Photo, "image", owner=owner, visible=visible_photos, filters=["shelf", "parent"])

    for number in range(1, 5):
        Picture.objects.create(pk=600_000 + number, title=f"Shown {number}", image=gray(100 + number))
    Picture.objects.create(pk=700_001, title="Secret", image=gray(101), published=False)
    Picture.objects.create(pk=700_002, title="Gone", image=gray(101))
    FramedPicture.objects.create(pk=600_005, title="Shown 5", image=gray(105))
    FramedPicture.objects.create(pk=700_005, title="Secret", image=gray(105), published=False)
    FramedPicture.objects.create(pk=700_006, title="Gone", image=gray(105))
    Couple.objects.create(pk=700_003, front=gray(101), back=gray(102))

    items = [Item.objects.create(pk=600_010 + number, name=f"Shown {number}") for number in range(1, 4)]
    for number, item in enumerate(items, start=1):
        Photo.objects.create(pk=600_020 + number, item=item, image=gray(100 + number))
    Photo.objects.create(pk=600_024, item=items[1], image=gray(220))
    hidden = Item.objects.create(pk=700_011, name="Secret", published=False)
    gone = Item.objects.create(pk=700_012, name="Gone")
    child = Item.objects.create(pk=600_014, name="Child of a secret", parent=hidden)
    variant = Item.objects.create(pk=700_015, name="Secret", parent=items[0], published=False)
    unseen = {700_022: hidden, 700_023: child, 700_024: variant, 700_025: gone}
    Photo.objects.create(pk=700_021, item=items[0], image=gray(103, "secret"))
    for pk, item in unseen.items():
        Photo.objects.create(pk=pk, item=item, image=gray(101))
    index_now()
    similar_images.mark(Picture.objects.get(pk=600_003), Picture.objects.get(pk=700_001), alike=True)
    Picture.objects.filter(pk__in=[700_002, 700_006]).delete()
    delete_items(Item.objects.filter(pk=gone.pk))


def delete_items(items: Any) -> None:
    """Delete items with their photos; Django's own way asks for content types, which are in another database."""
    Photo.objects.filter(item__in=items).delete()
    items._raw_delete(ALIAS)


def delete_hidden_objects() -> None:
    """Leave a world in which nothing is hidden from anybody."""
    Picture.objects.filter(published=False).delete()
    Photo.objects.filter(pk__gte=700_000).delete()
    Item.objects.filter(pk=600_014).update(parent=None)
    delete_items(Item.objects.filter(published=False))


def make_user(visitor: str) -> Any:
    if visitor == "anonymous":
        return AnonymousUser()
    user = User.objects.create(username=visitor, is_staff=visitor != "user", is_superuser=visitor == "insider")
    if visitor == "editor":
        models = ("picture", "framedpicture", "photo", "item")
        names = [*(f"change_{model}" for model in models), "view_indexedimage", "view_mark"]
        user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return user


class Visitor:
    """Someone with a browser, for whom templates are rendered, too."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.user = make_user(name)
        self.client = Client()
        if self.user.is_authenticated:
            self.client.force_login(self.user)

    def render(self, text: str, **context: Any) -> str:
        """Return a template with the tags, rendered for the visitor."""
        request = RequestFactory().get("/")
        request.user = self.user
        return Template("{% load similar_images %}" + text).render(Context({"request": request, **context}))


@pytest.fixture
def visitors(world: None) -> list[Visitor]:
    return [Visitor(name) for name in VISITORS]


# --- every way to ask --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """A way to ask about an object.

    `ask` takes the visitor, the family, and a key. `covers` are the addresses and tags that answer it. `tells_editors`
    is true where staff who may view all objects in the admin are told of hidden ones.
    """

    ask: Callable[[Visitor, Family, int], Any]
    covers: tuple[str, ...]
    families: tuple[str, ...] = tuple(FAMILIES)
    tells_editors: bool = False


def similar(visitor: Visitor, family: Family, key: int, **params: Any) -> Any:
    return visitor.client.get(f"{API}/{family.label}/{key}/similar/", params)


def similar_with(name: str, visitor: Visitor, family: Family, key: int, **params: Any) -> Any:
    return similar(visitor, family, family.shown, **{name: key}, **params)


def similar_by_method(method: str, visitor: Visitor, family: Family, key: int) -> Any:
    return getattr(visitor.client, method)(f"{API}/{family.label}/{key}/similar/")


def next_page(visitor: Visitor, family: Family, key: int) -> Any:
    request = RequestFactory().get(f"{API}/{family.label}/{key}/similar/", {"limit": 1})
    shown = registry.find_source(family.label)
    last = f"{shown.model._meta.label_lower}.{shown.field_name}:600002"
    return visitor.client.get(request.path + write_cursor(Cursor(timezone.now(), 1, last), request))


def batch(visitor: Visitor, family: Family, key: int, *others: int) -> Any:
    data = {"ids": [key, *others], "distances": True}
    return visitor.client.post(f"{API}/{family.label}/similar/batch/", data, content_type="application/json")


def batch_among(visitor: Visitor, family: Family, key: int) -> Any:
    return batch(visitor, family, key, family.shown)


def mark(visitor: Visitor, family: Family, key: int, other: int = 0) -> Any:
    url, data = f"{API}/{family.label}/{key}/mark/", {"other": other or family.shown, "alike": True}
    return visitor.client.post(url, data, content_type="application/json")


def mark_other(visitor: Visitor, family: Family, key: int) -> Any:
    return mark(visitor, family, family.shown, key)


def unmark(visitor: Visitor, family: Family, key: int, other: int = 0) -> Any:
    data = {"other": other or family.shown}
    return visitor.client.delete(f"{API}/{family.label}/{key}/mark/", query_params=data)


def unmark_other(visitor: Visitor, family: Family, key: int) -> Any:
    return unmark(visitor, family, family.shown, key)


def search_with(url: str, name: str, visitor: Visitor, family: Family, key: int) -> Any:
    return visitor.client.post(url, {"image": gray(103), "model": family.label, name: key})


def search_again(visitor: Visitor, family: Family, key: int) -> Any:
    """Search by an upload that is kept, at its address."""
    url = f"{PAGES}/search/"
    page = visitor.client.post(url, {"image": gray(103), "model": family.label})
    token = page.context["form"].token or page.context["form"].upload_field.token
    assert token
    return visitor.client.get(url, {"image": token, "model": family.label, "like": key})


MEASURE, DRAWING_MEASURE = "ahash", "ssim"
"""A measure that is quick, and one that draws."""


def comparison_of(family: Family, first: int, second: int, measure: str = MEASURE) -> dict[str, Any]:
    return {"a": f"{family.label}:{first}", "b": f"{family.label}:{second}", "measures": measure}


def compare(url: str, visitor: Visitor, family: Family, key: int) -> Any:
    return visitor.client.post(url, comparison_of(family, key, family.shown))


def compare_page(visitor: Visitor, family: Family, key: int) -> Any:
    return visitor.client.get(f"{PAGES}/compare/", comparison_of(family, family.shown, key))


def explain(visitor: Visitor, family: Family, key: int) -> Any:
    return visitor.client.get(f"{API}/{family.label}/{key}/explanation/", {"other": family.shown})


def explain_other(visitor: Visitor, family: Family, key: int) -> Any:
    return visitor.client.get(f"{API}/{family.label}/{family.shown}/explanation/", {"other": key})


def explain_card(visitor: Visitor, family: Family, key: int) -> Any:
    pair = comparison_of(family, family.shown, key)
    return visitor.client.get(f"{PAGES}/compare/explanation/", {name: pair[name] for name in ("a", "b")})


def similar_page(visitor: Visitor, family: Family, key: int, **params: Any) -> Any:
    return visitor.client.get(f"{PAGES}/{family.label}/{key}/", params)


def similar_page_with(name: str, visitor: Visitor, family: Family, key: int) -> Any:
    return similar_page(visitor, family, family.shown, **{name: key})


def lazy_widget(visitor: Visitor, family: Family, key: int) -> Any:
    token = dump_widget(Widget(), family.label, str(key), {"limit": 3})
    return visitor.client.get(reverse("similar_images:widget", args=[token]))


def load(family: Family, key: int) -> Any:
    """Return an object as a view has it that asks nobody who may see it; also one that is no more."""
    return family.model._base_manager.filter(pk=key).first() or family.model(pk=key)


def render(text: str, visitor: Visitor, family: Family, key: int) -> str:
    return visitor.render(text, item=load(family, key), items=[load(family, key), load(family, family.shown)])


def admin_page(page: str, visitor: Visitor, family: Family, key: int, **params: Any) -> Any:
    return visitor.client.get(f"/admin/{family.label.replace('.', '/')}/{key}/{page}/", params)


def admin_pair(visitor: Visitor, family: Family, key: int) -> Any:
    return admin_page("similar-images", visitor, family, family.shown, other=key)


def admin_mark(visitor: Visitor, family: Family, key: int) -> Any:
    url = f"/admin/{family.label.replace('.', '/')}/{family.shown}/similar-images/"
    return visitor.client.post(url, {"other": key, "alike": "1"})


def admin_notice(visitor: Visitor, family: Family, key: int) -> Any:
    """Choose a file that looks like all objects on the page of one."""
    url = f"/admin/{family.label.replace('.', '/')}/similar-images/notice/?field={family.label}.image&object={key}"
    return visitor.client.post(url, {"image": gray(101)})


def admin_list(model: str, visitor: Visitor, family: Family, key: int) -> Any:
    return visitor.client.get(f"/admin/similar_images/{model}/", {"q": key})


LIST = "{% for match in found %}{{ match.object.pk }} {{ match.title }} {{ match.similarity }} {% endfor %}"
WITH_ADMIN = ("picture", "photo")

QUESTIONS: dict[str, Question] = {
    # REST
    "similar": Question(similar, ("api:similar",)),
    "similar, explained": Question(partial(similar, explain=1, distances=1, limit=2), ("api:similar",)),
    "similar, exact": Question(partial(similar, exact=1), ("api:similar",)),
    "similar, copies": Question(partial(similar, mode="copy"), ("api:similar",)),
    "similar, by keypoints": Question(partial(similar, rerank="keypoints"), ("api:similar",)),
    "similar, a part": Question(partial(similar, box="0,0,1,1"), ("api:similar",)),
    "similar, wrong options": Question(partial(similar, limit="many", nope=1), ("api:similar",)),
    "similar, HEAD": Question(partial(similar_by_method, "head"), ("api:similar",)),
    "similar, OPTIONS": Question(partial(similar_by_method, "options"), ("api:similar",)),
    "similar, the next page": Question(next_page, ("api:similar",)),
    "why not": Question(partial(similar_with, "why_not"), ("api:similar",), tells_editors=True),
    "like": Question(partial(similar_with, "like"), ("api:similar",)),
    "unlike": Question(partial(similar_with, "unlike"), ("api:similar",)),
    "filter by a relation": Question(partial(similar_with, "parent"), ("api:similar",), ("owner",)),
    "batch": Question(batch, ("api:batch",)),
    "batch with another": Question(batch_among, ("api:batch",)),
    "mark": Question(mark, ("api:mark",)),
    "mark with another": Question(mark_other, ("api:mark",)),
    "unmark": Question(unmark, ("api:mark",)),
    "unmark from another": Question(unmark_other, ("api:mark",)),
    "search like": Question(partial(search_with, f"{API}/search/", "like"), ("api:search",)),
    "search by a relation": Question(partial(search_with, f"{API}/search/", "parent"), ("api:search",), ("owner",)),
    "compare": Question(partial(compare, f"{API}/compare/"), ("api:compare",)),
    "explanation": Question(explain, ("api:explanation",)),
    "explanation of another": Question(explain_other, ("api:explanation",)),
    # pages
    "page": Question(similar_page, ("page:similar",)),
    "page, copies": Question(partial(similar_page, mode="copy"), ("page:similar",)),
    "page, wrong options": Question(partial(similar_page, limit="many"), ("page:similar",)),
    "page, like": Question(partial(similar_page_with, "like"), ("page:similar",)),
    "page, by a relation": Question(partial(similar_page_with, "parent"), ("page:similar",), ("owner",)),
    "search page, like": Question(partial(search_with, f"{PAGES}/search/", "like"), ("page:search",)),
    "search page, again": Question(search_again, ("page:search",)),
    "search page, by a relation": Question(
        partial(search_with, f"{PAGES}/search/", "parent"), ("page:search",), ("owner",)
    ),
    "compare page": Question(compare_page, ("page:compare",)),
    "compare page, sent": Question(partial(compare, f"{PAGES}/compare/"), ("page:compare",)),
    "card explained": Question(explain_card, ("page:explanation",)),
    "lazy widget": Question(lazy_widget, ("page:widget",)),
    # template tags
    "tag": Question(partial(render, "{% similar_items item as found %}" + LIST), ("similar_items",)),
    "tag, the newest": Question(
        partial(render, '{% similar_items item fallback="newest" as found %}' + LIST), ("similar_items",)
    ),
    "tag, prefetched": Question(
        partial(render, "{% prefetch_similar_items items %}{% similar_items item as found %}" + LIST),
        ("prefetch_similar_items", "similar_items"),
    ),
    **{
        f"widget, {layout}": Question(
            partial(render, f'{{% similar_items_widget item layout="{layout}" %}}'), ("similar_items_widget", layout)
        )
        for layout in LAYOUTS
    },
    "widget, lazy": Question(
        partial(render, "{% similar_items_widget item lazy=True %}"), ("similar_items_widget", "page:widget")
    ),
    "widget, cached": Question(partial(render, "{% similar_items_widget item cache=300 %}"), ("similar_items_widget",)),
    # admin
    "admin": Question(partial(admin_page, "change"), ("admin:change",), WITH_ADMIN),
    "admin, its pairs": Question(partial(admin_page, "similar-images"), ("admin:similar_images",), WITH_ADMIN),
    "admin, a pair": Question(admin_pair, ("admin:similar_images",), WITH_ADMIN),
    "admin, mark": Question(admin_mark, ("admin:similar_images",), WITH_ADMIN),
    "admin, notice": Question(admin_notice, ("admin:similar_images_notice",), WITH_ADMIN),
    "admin, records": Question(partial(admin_list, "indexedimage"), ("admin:records",), WITH_ADMIN),
    "admin, marks": Question(partial(admin_list, "mark"), ("admin:marks",), WITH_ADMIN),
}
"""Every way to ask about an object, by its name."""

OVERVIEWS: dict[str, tuple[str, str]] = {
    "status": (f"{API}/status/", "api:status"),
    "schema": (f"{API}/schema/", "api:schema"),
    "search page": (f"{PAGES}/search/", "page:search"),
    "compare page": (f"{PAGES}/compare/", "page:compare"),
    "admin": ("/admin/", "admin:index"),
    "records": ("/admin/similar_images/indexedimage/", "admin:records"),
    "marks": ("/admin/similar_images/mark/", "admin:marks"),
}
"""Addresses that are about no object in particular."""

COVERED_ALONE = {"api:picture", "page:picture", "page:upload"}
"""Addresses that tokens lead to, with tests of their own below."""


# --- answers without what differs by nature ----------------------------------------------------------------------


SIGNED = re.compile(r"[\w.-]{8,}(?::|%3A)\w{6}(?::|%3A)[\w-]{43}")
"""What is signed: cursors, lazy widgets, uploads. It has the time of the request."""

CHANGING_HEADERS = ("Date", "Expires", "Last-Modified", "Content-Length")
"""Headers with the time, or with the length of a text that has it."""

SECONDS = re.compile(r'("seconds":|images-time">)[\d.e-]+')

CSRF_TOKEN = re.compile(r'(name="csrfmiddlewaretoken" value=)"\w*"')


def describe(answer: Any, key: int) -> dict[str, Any]:
    """Return all that a visitor gets, without the key that was asked for."""
    if isinstance(answer, str):
        return {"text": _mask(answer, key).splitlines()}
    headers = {name: _mask(value, key) for name, value in answer.headers.items() if name not in CHANGING_HEADERS}
    return {
        "status": answer.status_code,
        "headers": headers,
        "cookies": sorted(answer.cookies),
        "text": _mask(answer.content.decode(errors="replace"), key).splitlines(),
    }


def _mask(text: str, key: int) -> str:
    for pattern, replacement in ((SIGNED, "SIGNED"), (SECONDS, r"\1"), (CSRF_TOKEN, r"\1")):
        text = pattern.sub(replacement, text)
    return text.replace(str(key), "KEY")


def statements(queries: CaptureQueriesContext) -> list[str]:
    """Return the statements of queries, without numbers and other values."""
    return [re.sub(r"\d+|'[^']*'", "", query["sql"]) for query in queries]


def ask(question: Question, visitor: Visitor, family: Family, key: int) -> tuple[dict[str, Any], list[str]]:
    cache.clear()
    with CaptureQueriesContext(connection) as queries:
        answer = question.ask(visitor, family, key)
    return describe(answer, key), statements(queries)


# --- what must hold ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["similar", "batch", "mark", "compare", "compare page", "page", "lazy widget"])
def test_objects_of_a_parent_model__are_none_of_its_child(name: str, visitors: list[Visitor]) -> None:
    for visitor in visitors:
        expected = ask(QUESTIONS[name], visitor, FAMILIES["child"], NEVER)
        assert ask(QUESTIONS[name], visitor, FAMILIES["child"], FAMILIES["picture"].shown) == expected


@pytest.mark.parametrize("name", QUESTIONS)
def test_unseen_objects__are_answered_like_one_that_never_was(name: str, visitors: list[Visitor]) -> None:
    question = QUESTIONS[name]
    for family in (FAMILIES[family_name] for family_name in question.families):
        ask(question, visitors[0], family, family.shown)  # what is read once a process is read now
        ask(question, visitors[-1], family, NEVER)
        for visitor in (visitor for visitor in visitors if visitor.name in family.visitors):
            expected = ask(question, visitor, family, NEVER)
            for state, key in family.unseen.items():
                answer = ask(question, visitor, family, key)
                case = f"{name}: {family.label} {state} for {visitor.name}"
                if question.tells_editors and visitor.name == "editor" and state.startswith("hidden"):
                    assert '"code":"invisible"' in answer[0]["text"][0], case
                else:
                    assert answer == expected, case


@pytest.mark.parametrize("name", QUESTIONS)
def test_hidden_objects__neither_show_nor_count_in_answers_about_others(name: str, visitors: list[Visitor]) -> None:
    question = QUESTIONS[name]
    by_name = {visitor.name: visitor for visitor in visitors}
    first, *others = [FAMILIES[family] for family in question.families]
    cases = [(first, by_name["editor"]), *((family, by_name["anonymous"]) for family in (first, *others[-1:]))]
    before = [ask(question, visitor, family, family.shown)[0] for family, visitor in cases]
    delete_hidden_objects()
    for (family, visitor), answer in zip(cases, before, strict=True):
        after, _statements = ask(question, visitor, family, family.shown)
        assert answer == after, "\n".join(
            [name, family.label, visitor.name, *unified_diff(answer["text"], after["text"])]
        )


@pytest.mark.parametrize("name", OVERVIEWS)
def test_hidden_objects__neither_show_nor_count_in_overviews(name: str, visitors: list[Visitor]) -> None:
    url, _covered = OVERVIEWS[name]
    before = {visitor.name: describe(visitor.client.get(url), NEVER) for visitor in visitors}
    delete_hidden_objects()
    for visitor in visitors:
        after = describe(visitor.client.get(url), NEVER)
        is_told = name == "status" and visitor.name == "editor"  # who may view all objects in the admin
        assert (before[visitor.name] == after) is not is_told, visitor.name


def test_hidden_objects__neither_show_nor_count_on_the_map(visitors: list[Visitor]) -> None:
    """Nor do their thumbnails leave the server."""
    commands.run("map_images", "testapp.Picture", "testapp.Photo")

    def answers() -> list[Any]:
        base = "/admin/similar_images/map/"
        rows = Source.objects.filter(app_label="testapp", model__in=["picture", "photo"])
        parts = ("", "points/", f"tiles/0/{2**40}/", f"items/{','.join(map(str, records))}/")
        urls = [base, *(f"{base}{row.pk}/{part}" for row in rows for part in parts)]
        return [describe(visitor.client.get(url), NEVER) for visitor in visitors for url in urls]

    records = list(IndexedImage.objects.values_list("pk", flat=True))
    before = answers()
    assert any("Shown 1" in line for answer in before for line in answer["text"])
    delete_hidden_objects()
    assert answers() == before


def test_hidden_objects__are_no_gap_between_pages(visitors: list[Visitor]) -> None:
    def page_through(visitor: Visitor) -> list[str]:
        """Return the keys of all pages, of one match each."""
        answers = [similar(visitor, FAMILIES["picture"], 600_001, limit=1).json()]
        while answers[-1]["next"]:
            answers.append(visitor.client.get(answers[-1]["next"]).json())
        return [match["pk"] for answer in answers for match in answer["results"]]

    assert {tuple(page_through(visitor)) for visitor in visitors} == {("600002", "600003", "600004", "600005")}


# --- what a cache has kept ---------------------------------------------------------------------------------------


@pytest.fixture
def insider(world: None) -> Visitor:
    """Somebody who may see everything, and has asked before."""
    return Visitor("insider")


@pytest.mark.parametrize("family_name", FAMILIES)
def test_validators__of_an_insider_open_nothing_to_others(
    family_name: str, insider: Visitor, visitors: list[Visitor]
) -> None:
    family = FAMILIES[family_name]
    known = similar(insider, family, family.unseen["hidden"])
    shown = similar(insider, family, family.shown)
    assert known.status_code == shown.status_code == 200
    assert "Secret" in shown.content.decode()
    for visitor in visitors:
        url = f"{API}/{family.label}/%s/similar/"
        headers = {"If-None-Match": known.headers["ETag"]}
        hidden, never = (
            describe(visitor.client.get(url % key, headers=headers), key) for key in (family.unseen["hidden"], NEVER)
        )
        assert hidden == never
        answer = visitor.client.get(url % family.shown, headers={"If-None-Match": shown.headers["ETag"]})
        assert (answer.status_code, "Secret" in answer.content.decode()) == (200, False)


@pytest.mark.parametrize("family_name", FAMILIES)
def test_cached_widgets__of_an_insider_are_not_shown_to_others(
    family_name: str, insider: Visitor, visitors: list[Visitor]
) -> None:
    family = FAMILIES[family_name]
    text = "{% similar_items_widget item cache=300 %}"
    for _again in range(2):
        assert "Secret" in render(text, insider, family, family.shown)
        for visitor in visitors:
            html = render(text, visitor, family, family.shown)
            assert ("Shown" in html, "Secret" in html) == (True, False)
            assert render(text, visitor, family, family.unseen["hidden"]) == render(text, visitor, family, NEVER)


HIDE = {
    "picture": lambda: Picture.objects.get(pk=600_002),
    "child": lambda: FramedPicture.objects.get(pk=600_005),
    "photo": lambda: Item.objects.get(pk=600_012),
    "owner": lambda: Item.objects.get(pk=600_012),
}
"""What is hidden while answers about it, or with it, are in caches."""


@pytest.mark.parametrize("family_name", FAMILIES)
def test_answers_kept__are_void_once_an_object_is_hidden(
    family_name: str, visitors: list[Visitor], django_capture_on_commit_callbacks: Any
) -> None:
    family = FAMILIES[family_name]
    shown = {"picture": 600_001, "child": 600_001, "photo": 600_021, "owner": 600_011}[family_name]
    key = {"picture": 600_002, "child": 600_005, "photo": 600_022, "owner": 600_012}[family_name]
    near = FAMILIES["picture"] if family_name == "child" else family
    text = "{% similar_items_widget item cache=300 %}"
    item = HIDE[family_name]()
    name = str(item)
    kept = []
    for visitor in visitors:
        about, among = similar(visitor, family, key, limit=1), similar(visitor, near, shown, limit=1)
        widgets = [render(text, visitor, near, shown), render(text, visitor, family, key)]
        assert name in widgets[0]
        assert about.status_code == among.status_code == 200
        kept.append((visitor, about, among, widgets))
    with django_capture_on_commit_callbacks(execute=True):
        item.published = False
        item.save()
    for visitor, about, among, _widgets in kept:
        urls = [f"{API}/{family.label}/{key}/similar/", about.json()["next"]]
        never = similar(visitor, family, NEVER)
        for url in urls:
            answer = visitor.client.get(url, headers={"If-None-Match": about.headers["ETag"]})
            assert describe(answer, key) == describe(never, NEVER)
        again = visitor.client.get(
            f"{API}/{near.label}/{shown}/similar/", headers={"If-None-Match": among.headers["ETag"]}
        )
        assert name not in again.content.decode()
        following = visitor.client.get(among.json()["next"])
        assert name not in following.content.decode()
        assert name not in render(text, visitor, near, shown)
        assert render(text, visitor, family, key) == render(text, visitor, family, NEVER)


def drawings(visitor: Visitor, url: str) -> list[str]:
    """Return the addresses of what explains a comparison of two pictures that all may see."""
    answer = visitor.client.post(url, comparison_of(FAMILIES["picture"], 600_001, 600_002, DRAWING_MEASURE))
    found = re.findall(r"/[\w/-]+/compare/\w+/[\w/.-]+\.png", answer.content.decode())
    assert found
    return sorted(set(found))


@pytest.mark.parametrize("url", [f"{API}/compare/", f"{PAGES}/compare/"])
def test_drawings__are_void_once_an_object_is_hidden(url: str, visitors: list[Visitor]) -> None:
    a, b = Picture.objects.filter(pk__in=[600_001, 600_002])
    similar_images.compare(a, b, measures=[DRAWING_MEASURE])  # loads what would take a request's time
    kept = [(visitor, address) for visitor in visitors for address in drawings(visitor, url)]
    assert {visitor.client.get(address).status_code for visitor, address in kept} == {200}
    picture = Picture.objects.get(pk=600_002)

    def ask_all() -> list[Any]:
        answers = []
        for visitor, address in kept:
            with CaptureQueriesContext(connection) as queries:
                answer = visitor.client.get(address)
            answers.append((describe(answer, NEVER), statements(queries)))
        return answers

    Picture.objects.filter(pk=picture.pk).update(published=False)
    hidden = ask_all()
    gone = [(visitor, re.sub(r"compare/\w+/", f"compare/{'0' * 64}/", address)) for visitor, address in kept]
    never = [describe(visitor.client.get(address), NEVER) for visitor, address in gone]
    never = [(answer["status"], answer["text"]) for answer in never]
    assert [(answer["status"], answer["text"]) for answer, _statements in hidden] == never
    Picture.objects.filter(pk=picture.pk).delete()
    assert ask_all() == hidden


def test_uploads__of_a_user_are_none_to_others(visitors: list[Visitor]) -> None:
    for owner in visitors[1:]:
        page = owner.client.post(f"{PAGES}/search/", {"image": gray(103), "model": "testapp.picture"})
        token = page.context["form"].token
        for visitor in visitors:
            urls = [reverse("similar_images:upload", args=[text]) for text in (token, token[:-1] + "_")]
            answers = [describe(visitor.client.get(url), NEVER) for url in urls]
            assert answers[1]["status"] == 404
            assert (answers[0]["status"] == 200) is (visitor is owner)
            assert visitor is owner or answers[0] == answers[1]


# --- nothing is left out -----------------------------------------------------------------------------------------


def test_matrix__has_every_address_tag_and_layout() -> None:
    covered = {name for question in QUESTIONS.values() for name in question.covers}
    covered |= {name for _url, name in OVERVIEWS.values()} | COVERED_ALONE
    addresses = {
        f"{kind}:{pattern.name}"
        for kind, module in (("page", page_urls), ("api", api_urls))
        for pattern in module.urlpatterns
    }
    own_admin = {
        pattern.name.removeprefix("testapp_picture_")
        for pattern in set(VisibleAdmin(Picture, site).get_urls())
        if pattern.name
    } - {
        pattern.name.removeprefix("testapp_picture_")
        for pattern in admin.ModelAdmin(Picture, site).get_urls()
        if pattern.name
    }
    assert addresses | {f"admin:{name}" for name in own_admin} <= covered
    assert {*tags.tags} | {*LAYOUTS} <= covered
