from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import models
from django.http import HttpRequest
from django.test.utils import isolate_apps

import similar_images
from similar_images import registry
from similar_images.registry import NotRegistered
from tests.mergeapp.models import Page
from tests.testapp.models import (
    Couple,
    FramedPicture,
    NamedPicture,
    Photo,
    Picture,
    PictureProxy,
    Private,
    Shelf,
    Unregistered,
    UuidPicture,
    WithImage,
)


@pytest.fixture(autouse=True)
def _sources_of_before() -> Iterator[None]:
    """What a test registers is forgotten after it."""
    before = dict(registry._sources)
    listeners = list(registry._listeners)
    yield
    registry._sources.clear()
    registry._sources.update(before)
    registry._listeners[:] = listeners


def nothing(request: HttpRequest) -> models.QuerySet[Any]:
    return Unregistered.objects.none()


def label(model: type[models.Model] | str, field: str | None = None) -> str:
    return registry.get_source(model, field).label


# --- registering -----------------------------------------------------------------------------------------------


def test_register__call() -> None:
    assert similar_images.register(Unregistered, "image", visible=nothing) is None
    source = registry.get_source(Unregistered)
    assert (source.model, source.field_name, source.visible) == (Unregistered, "image", nothing)
    assert source.field is Unregistered._meta.get_field("image")
    assert registry.get_sources()[-1] == source


def test_register__field_by_keyword() -> None:
    similar_images.register(Unregistered, field="image")
    assert label(Unregistered) == "testapp.Unregistered.image"


@isolate_apps("tests.testapp")
def test_register__decorator() -> None:
    @similar_images.register("scan", visible=nothing)
    @similar_images.register("photo")
    class Decorated(models.Model):
        photo = models.ImageField()
        scan = models.FileField()

        class Meta:
            app_label = "testapp"

    assert isinstance(Decorated, type)
    assert [(source.label, source.visible) for source in registry.get_sources_for_model(Decorated)] == [
        ("testapp.Decorated.photo", None),
        ("testapp.Decorated.scan", nothing),
    ]


def test_register__again_replaces_visible() -> None:
    count = len(registry.get_sources())
    similar_images.register(UuidPicture, "image", visible=nothing)
    assert len(registry.get_sources()) == count
    assert registry.get_source(UuidPicture).visible is nothing


def test_register__tells_the_listeners() -> None:
    heard: list[str] = []
    registry.add_listener(lambda source: heard.append(source.label))
    assert heard == [source.label for source in registry.get_sources()]
    assert "testapp.Couple.back" in heard
    similar_images.register(Unregistered, "image")
    assert heard[-1] == "testapp.Unregistered.image"


@pytest.mark.parametrize(
    ("model", "field", "message"),
    [
        (Picture, "photo", r"testapp\.Picture has no image or file field named 'photo'"),
        (Picture, "title", r"testapp\.Picture has no image or file field named 'title'"),
        (Picture, "shelf", r"named 'shelf', but a relation to testapp\.Shelf\.$"),
        (Photo, "item", r"named 'item', but a relation to testapp\.Item\.$"),
        (Page, "hero", r"named 'hero', but a relation to mergeapp\.Asset: register mergeapp\.Asset\.image\.$"),
        (Shelf, "picture", r"testapp\.Shelf has no image or file field named 'picture'"),  # a reverse relation
        (Picture, "", r"no image or file field named ''"),
        (WithImage, "image", "WithImage is abstract or a proxy; register a concrete model"),
        (PictureProxy, "image", "PictureProxy is abstract or a proxy; register a concrete model"),
        (Picture, None, r'Name the image field: register\(Picture, "photo"\)'),
    ],
)
def test_register__refused(model: Any, field: Any, message: str) -> None:
    before = registry.get_sources()
    with pytest.raises(ImproperlyConfigured, match=message):
        similar_images.register(model, field)
    assert registry.get_sources() == before


@isolate_apps("tests.testapp")
def test_register__composite_key() -> None:
    class Composite(models.Model):
        pk = models.CompositePrimaryKey("shelf", "place")
        shelf = models.IntegerField()
        place = models.IntegerField()
        image = models.ImageField()

        class Meta:
            app_label = "testapp"

    with pytest.raises(ImproperlyConfigured, match=r"testapp\.Composite has a composite primary key"):
        similar_images.register(Composite, "image")


@isolate_apps("tests.testapp")
def test_register__bare_decorator_says_what_to_type() -> None:
    with pytest.raises(ImproperlyConfigured, match=r'Name the image field: register\(Bare, "photo"\)'):

        @similar_images.register
        class Bare(models.Model):
            image = models.ImageField()

            class Meta:
                app_label = "testapp"


# --- by the setting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, tuple])
def test_setting__list(kind: type) -> None:
    registry.register_from_setting(kind(["testapp.Unregistered.image", "testapp.Couple.back"]))
    assert label(Unregistered) == "testapp.Unregistered.image"
    assert registry.get_source(Unregistered).visible is None


@pytest.mark.parametrize("visible", [nothing, "tests.test_registry.nothing", None])
def test_setting__dict(visible: Any) -> None:
    registry.register_from_setting({"testapp.Unregistered.image": visible})
    assert registry.get_source(Unregistered).visible is (nothing if visible else None)


@pytest.mark.parametrize("entries", [["testapp.Private.image"], {"testapp.Private.image": None}])
def test_setting__an_entry_without_visible_leaves_that_of_the_code(entries: Any, configure: Any) -> None:
    before = registry.get_source(Private)
    registry.register_from_setting(entries)
    assert registry.get_source(Private) is before
    registry.register_from_setting({"testapp.Private.image": nothing})
    assert registry.get_source(Private).visible is nothing


def test_setting__the_check_registers_nothing(configure: Any) -> None:
    before = registry.get_sources()
    configure(MODELS={"testapp.Unregistered.image": nothing, "testapp.Private.image": nothing})
    call_command("check")
    assert registry.get_sources() == before


@pytest.mark.parametrize(
    ("entry", "visible"),
    [
        ("testapp.Picture", None),
        ("Picture.image", None),
        ("", None),
        ("a.b.c.d", None),
        (5, None),
        ("nope.Picture.image", None),
        ("testapp.Nope.image", None),
        ("testapp.Picture.nope", None),
        ("testapp.Picture.title", None),
        ("testapp.PictureProxy.image", None),
        ("testapp.WithImage.image", None),
        ("testapp.Unregistered.image", "nope"),
        ("testapp.Unregistered.image", "tests.test_registry.nope"),
        ("testapp.Unregistered.image", "nope.nothing"),
        ("testapp.Unregistered.image", "tests.test_registry.__name__"),
        ("testapp.Unregistered.image", True),
    ],
)
def test_setting__wrong_entry_fails_the_check(entry: Any, visible: Any, configure: Any) -> None:
    configure(MODELS=[entry] if visible is None else {entry: visible})
    with pytest.raises(SystemCheckError, match=r"\(similar_images\.E002\)") as failed:
        call_command("check")
    assert str(entry).split(".")[1 if str(entry).count(".") == 2 else 0] in str(failed.value)
    assert 'HINT: Write "app_label.Model.field", e.g. "catalog.Product.photo".' in str(failed.value)


# --- finding ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "field", "found"),
    [
        (Picture, None, "testapp.Picture.image"),
        ("testapp.Picture", None, "testapp.Picture.image"),
        ("testapp.picture", "image", "testapp.Picture.image"),
        (FramedPicture, None, "testapp.Picture.image"),
        (PictureProxy, "image", "testapp.Picture.image"),
        ("testapp.pictureproxy", None, "testapp.Picture.image"),
        (UuidPicture, None, "testapp.UuidPicture.image"),
        (Couple, "front", "testapp.Couple.front"),
        (Couple, "back", "testapp.Couple.back"),
    ],
)
def test_get__finds(model: Any, field: str | None, found: str) -> None:
    assert label(model, field) == found


def test_of__several_fields() -> None:
    assert [source.field_name for source in registry.get_sources_for_model(Couple)] == ["front", "back"]
    assert list(registry.get_sources_for_model(Unregistered)) == []


def test_of__own_source_before_that_of_the_parent() -> None:
    similar_images.register(FramedPicture, "image")
    assert [source.label for source in registry.get_sources_for_model(FramedPicture)] == [
        "testapp.FramedPicture.image",
        "testapp.Picture.image",
    ]
    assert label(Picture) == "testapp.Picture.image"


@pytest.mark.parametrize(
    ("model", "field", "message"),
    [
        (Unregistered, None, r'Unregistered, "…" is not a source; call similar_images\.register\(.*, "…"\)'),
        (Unregistered, "image", r'similar_images\.register\(.*Unregistered, "image"\)'),
        ("testapp.unregistered", "image", r'similar_images\.register\(.*Unregistered, "image"\)'),
        (Couple, "side", r'Couple, "side" is not a source'),
        (Couple, "", r"is not a source"),
        ("testapp.Nope", None, "There is no model 'testapp.Nope'"),
        ("nope", None, "There is no model 'nope'"),
        ("", None, "There is no model ''"),
        ("a.b.c", None, r"There is no model 'a\.b\.c'"),
    ],
)
def test_get__not_registered(model: Any, field: str | None, message: str) -> None:
    with pytest.raises(NotRegistered, match=message):
        registry.get_source(model, field)


# --- what a source knows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "integer"), [(Picture, True), (Private, True), (UuidPicture, False), (NamedPicture, False)]
)
def test_source__has_integer_key(model: type[models.Model], integer: bool) -> None:
    assert registry.get_source(model).has_integer_key is integer


@pytest.mark.parametrize(("parent", "integer"), [(Picture, True), (NamedPicture, False)])
@isolate_apps("tests.testapp")
def test_source__has_integer_key__by_the_parents(parent: type[models.Model], integer: bool) -> None:
    class Child(models.Model):
        parent_link = models.OneToOneField(parent, models.CASCADE, primary_key=True)
        photo = models.ImageField()

        class Meta:
            app_label = "testapp"

    class Grandchild(models.Model):
        parent_link = models.OneToOneField(Child, models.CASCADE, primary_key=True)
        photo = models.ImageField()

        class Meta:
            app_label = "testapp"

    for model in (Child, Grandchild):
        similar_images.register(model, "photo")
        assert registry.get_source(model).has_integer_key is integer


@pytest.mark.django_db
def test_source__visible_to() -> None:
    shown, hidden = Picture.objects.create(title="shown"), Picture.objects.create(title="hidden", published=False)
    mine, other = Private.objects.create(owner="me"), Private.objects.create(owner="other")
    request = HttpRequest()
    request.user = AnonymousUser()
    assert list(registry.get_source(Picture).visible_to(None)) == [shown]
    assert list(registry.get_source(Picture).visible_to(request)) == [shown]
    assert list(registry.get_source(Picture).objects.order_by("pk")) == [shown, hidden]
    assert not registry.get_source(Private).visible_to(None).exists()
    request.user.username = "me"
    assert list(registry.get_source(Private).visible_to(request)) == [mine]
    other.delete()


@pytest.mark.django_db
def test_source__with_file() -> None:
    picture = Picture.objects.create(image="a.png")
    bare = Picture.objects.create(image="")
    uuid_picture = UuidPicture.objects.create(image="b.png")
    UuidPicture.objects.create(image=None)
    assert list(registry.get_source(Picture).with_file()) == [picture]
    assert list(registry.get_source(UuidPicture).with_file()) == [uuid_picture]
    assert registry.get_source(Picture).get_file_name(picture) == "a.png"
    assert registry.get_source(Picture).get_file_name(bare) == ""
    assert registry.get_source(UuidPicture).get_file_name(UuidPicture()) == ""


@isolate_apps("tests.testapp")
def test_register__a_relation_to_a_model_that_is_not_loaded_yet() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"but a relation to later\.Image: register the image field of that"):

        @similar_images.register("cover")
        class Book(models.Model):
            cover = models.ForeignKey("later.Image", models.CASCADE)

            class Meta:
                app_label = "testapp"


@isolate_apps("tests.testapp")
def test_register__a_model_that_is_swapped_out(settings: Any) -> None:
    class Swapped(models.Model):
        image = models.ImageField()

        class Meta:
            app_label = "testapp"
            swappable = "PICTURE_MODEL"

    settings.PICTURE_MODEL = "testapp.Picture"
    with pytest.raises(ImproperlyConfigured, match=r"as PICTURE_MODEL is '.+': register testapp\.Picture"):
        similar_images.register(Swapped, "image")
    settings.PICTURE_MODEL = "testapp.Swapped"
    similar_images.register(Swapped, "image")


def test_visible__without_a_request_is_asked_by_one_like_any_other(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*", ".shop.example"]
    asked: list[Any] = []

    def visible(request: Any) -> models.QuerySet[Any]:
        asked.append(request)
        request.session["basket"] = request.session.get("basket", 0) + 1
        return Unregistered.objects.filter(image=f"{request.get_host()}{request.path}{request.user.is_anonymous}")

    similar_images.register(Unregistered, "image", visible=visible)
    source = registry.get_source(Unregistered)
    assert "shop.example/True" in str(source.visible_to(None).query)
    (request,) = asked
    assert request.build_absolute_uri() == "http://shop.example/"
    assert (request.method, dict(request.GET), request.LANGUAGE_CODE) == ("GET", {}, "en-us")
    assert request.site.domain == "shop.example"  # as django.contrib.sites gives it where it is not installed
    source.visible_to(None)
    assert asked[1].session["basket"] == 1  # nobody shares a session
