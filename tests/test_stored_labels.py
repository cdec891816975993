"""Labels kept of stored images: made by workers, filled in for what is there, shown and searched in the admin."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from django.contrib import admin
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client
from django.urls import path
from django.utils.translation import override

import similar_images
from similar_images import plugins, stored_labels
from similar_images.admin import IndexedImageAdmin, SimilarImagesMixin
from similar_images.indexing import hnsw, outbox, pruning, versions
from similar_images.indexing.health import versions_health
from similar_images.management.stored_data import describe_object
from similar_images.models import IndexedImage, Signature, Source
from similar_images.registry import get_source, get_sources
from similar_images.signatures.label_method import LabelMethod
from similar_images.stored_labels import labels_of_records, match_names, records_showing
from tests.databases import captured_queries
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db

DATA = Path(skimage.__file__).parent / "data"
CATS = {"Egyptian cat", "tiger cat", "tabby"}

site = admin.AdminSite()
site.register(Picture, type("PictureAdmin", (SimilarImagesMixin, admin.ModelAdmin), {}))
site.register(IndexedImage, IndexedImageAdmin)
urlpatterns = [path("admin/", site.urls)]

RECORDS = "/admin/similar_images/indexedimage/"


class Brightness(LabelMethod):
    """A classifier of the site: light or dark, with the names of its project."""

    version = "brightness-1"
    label_names = ("dark", "light", "no")

    def score(self, pixels: Any) -> Any:
        light = pixels.mean() / 255
        return np.array([1 - light, light, 0])


class NoLabels:
    pass


def save(name: str) -> Picture:
    data = (DATA / name).read_bytes()
    return Picture.objects.create(title=Path(name).stem, image=ContentFile(data, name=name))


@pytest.fixture
def pictures(mean_method: None, settings: Any) -> dict[str, Picture]:
    settings.ROOT_URLCONF = __name__
    return {name: save(f"{name}.png") for name in ("chelsea", "coffee", "motorcycle_left")}


@pytest.fixture
def keep(configure: Any) -> Any:
    """Switch labels on, or to another classifier, beside the one method that images are searched by."""

    def keep(value: Any = True) -> None:
        configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1}, STORE_LABELS=value)

    return keep


def names_of(item: Picture) -> list[str]:
    record = IndexedImage.objects.get(object_id=str(item.pk))
    return [label.name for label in labels_of_records([record]).get(record.pk, [])]


def listed(client: Client, **query: str) -> tuple[list[str], str]:
    """Return the files in the list of records, and its HTML."""
    answer = client.get(RECORDS, query)
    assert answer.status_code == 200, answer
    found = [record.object_id for record in answer.context["cl"].result_list]
    titles = dict(Picture.objects.values_list("pk", "title"))
    return sorted(titles[int(pk)] for pk in found), answer.content.decode()


def test_labels__are_not_kept_where_nothing_says_so(
    pictures: dict[str, Picture], index_now: Any, admin_client: Client
) -> None:
    index_now()
    assert set(Signature.objects.values_list("method", flat=True)) == {"mean"}
    _titles, html = listed(admin_client)
    assert "?label=" not in html
    assert listed(admin_client, q="espresso")[0] == []
    assert records_showing("espresso") is None
    with captured_queries() as queries:
        assert labels_of_records(IndexedImage.objects.none()) == {}
    assert len(queries) == 0


def test_labels__are_kept_when_an_image_is_indexed(pictures: dict[str, Picture], keep: Any, index_now: Any) -> None:
    keep()
    index_now()
    assert names_of(pictures["coffee"])[0] == "espresso"
    assert names_of(pictures["chelsea"])[0] in CATS
    with (DATA / "coffee.png").open("rb") as file:
        expected = similar_images.labels(file)
    record = IndexedImage.objects.get(object_id=str(pictures["coffee"].pk))
    kept = labels_of_records([record])[record.pk]
    assert [label.name for label in kept] == [label.name for label in expected]
    assert [label.score for label in kept] == pytest.approx([label.score for label in expected], abs=1e-6)
    assert similar_images.similar_to(pictures["coffee"])[0].scores.keys() == {"mean"}


def test_labels__are_filled_in_for_images_that_are_there(
    pictures: dict[str, Picture], keep: Any, index_now: Any
) -> None:
    """Searches find them all the while, and no file is read again for what is known of it."""
    index_now()
    before = [match.object.pk for match in similar_images.similar_to(pictures["coffee"])]
    keep()
    versions.register_versions()
    source = get_source(Picture)
    assert outbox.outdated_records(source).count() == 3
    assert [match.object.pk for match in similar_images.similar_to(pictures["coffee"])] == before
    row = Source.objects.get(model="picture")
    (health,) = (each for each in versions_health([row])[row.pk] if each.version.name == "labels")
    assert (health.described, health.is_searched) == (0, False)
    call_command("index_images", "--sync", verbosity=0)
    assert outbox.outdated_records(source).count() == 0
    assert names_of(pictures["coffee"])[0] == "espresso"
    assert hnsw.existing_indexes() == {}


def test_labels__of_another_classifier_replace_the_former_ones_at_once(
    pictures: dict[str, Picture], keep: Any, index_now: Any
) -> None:
    keep()
    index_now()
    keep(f"{__name__}.Brightness")
    versions.register_versions()
    assert names_of(pictures["coffee"])[0] == "espresso"  # until all are described anew
    call_command("index_images", "--sync", verbosity=0)
    assert set(names_of(pictures["coffee"])) == {"dark", "light"}
    call_command("index_images", "--prune", verbosity=0)
    kept = Signature.objects.filter(method="labels").values_list("version", flat=True).distinct().get()
    assert kept.startswith("brightness-1")
    assert names_of(pictures["coffee"])


def test_labels__are_pruned_when_they_are_no_longer_kept(
    pictures: dict[str, Picture], keep: Any, index_now: Any
) -> None:
    keep()
    index_now()
    keep(False)
    assert names_of(pictures["coffee"]) == []
    assert sum(pruning.prune_versions(get_sources())) == 3
    assert set(Signature.objects.values_list("method", flat=True)) == {"mean"}


def test_labels__go_with_their_object_and_are_exported(pictures: dict[str, Picture], keep: Any, index_now: Any) -> None:
    keep()
    index_now()
    item = pictures["coffee"]
    (image,) = describe_object([("testapp", "picture")], str(item.pk))
    assert image["labels"][0]["name"] == "espresso"
    assert 0.5 < image["labels"][0]["score"] <= 1
    item.delete()
    assert Signature.objects.filter(method="labels").count() == 2


def test_labels__of_a_changed_image_are_made_again(pictures: dict[str, Picture], keep: Any, index_now: Any) -> None:
    keep()
    index_now()
    item = pictures["coffee"]
    item.image.save("other.png", ContentFile((DATA / "chelsea.png").read_bytes()))
    index_now()
    assert names_of(item)[0] in CATS


def test_labels__are_by_the_network_that_describes_the_images(configure: Any) -> None:
    configure(STORE_LABELS=True)
    usual = plugins.stored_methods()["labels"].version
    assert usual.startswith("efficientnet-lite0")
    configure(METHODS={"small": {"class": "embedding", "size": 192}}, RANKING={"small": 1}, STORE_LABELS=True)
    smaller = plugins.stored_methods()["labels"].version
    assert smaller.startswith("efficientnet-lite0")
    assert smaller != usual
    assert max(len(usual), len(smaller)) <= 64
    assert "labels" not in plugins.enabled_methods()


@pytest.mark.parametrize("value", ["nope.Labels", f"{__name__}.NoLabels"])
def test_check__names_a_classifier_that_is_none(configure: Any, value: str) -> None:
    configure(STORE_LABELS=value)
    with pytest.raises(SystemCheckError, match=r"E003\) SIMILAR_IMAGES\['STORE_LABELS'\]"):
        call_command("check")


def test_check__a_method_may_not_have_the_name_of_labels(configure: Any) -> None:
    configure(METHODS={"labels": {"class": "color"}}, RANKING={"labels": 1}, STORE_LABELS=True)
    with pytest.raises(SystemCheckError, match="keeps labels: give it another name"):
        call_command("check")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Egyptian CAT", ["Egyptian cat"]),
        ("cat", ["Egyptian cat", "tiger cat"]),
        ("terpill", ["caterpillar"]),
        ("c.t", []),
        ("", []),
        ("  ", []),
    ],
)
def test_match_names__whole_names_before_words_before_parts(text: str, found: list[str]) -> None:
    names = ["Egyptian cat", "tiger cat", "caterpillar"]
    assert [names[index] for index in match_names(text, names)] == found


def test_records__are_filtered_and_searched_by_what_they_show(
    pictures: dict[str, Picture], keep: Any, index_now: Any, admin_client: Client
) -> None:
    keep()
    index_now()
    titles, html = listed(admin_client)
    assert titles == ["chelsea", "coffee", "motorcycle_left"]
    (link,) = re.findall(
        r'<a href="/admin/similar_images/indexedimage/\?(label=espresso)">espresso</a> \((\d+)%\)', html
    )
    assert 50 < int(link[1]) <= 100
    assert 'href="?label=espresso"' in html  # among the choices of the filter
    assert listed(admin_client, label="espresso")[0] == ["coffee"]
    assert listed(admin_client, label="cat")[0] == ["chelsea"]
    assert listed(admin_client, label="nothing such")[0] == []
    assert listed(admin_client, q="espresso")[0] == ["coffee"]
    assert listed(admin_client, q="coffee")[0] == ["coffee"]  # a part of the file name
    assert listed(admin_client, q="espresso", label="cat")[0] == []
    assert listed(admin_client, status="indexed", label="espresso")[0] == ["coffee"]


def test_records__show_all_labels_of_one(
    pictures: dict[str, Picture], keep: Any, index_now: Any, admin_client: Client
) -> None:
    keep()
    index_now()
    record = IndexedImage.objects.get(object_id=str(pictures["coffee"].pk))
    html = admin_client.get(f"{RECORDS}{record.pk}/change/").content.decode()
    assert html.count("?label=") == 5


def test_records__take_no_query_for_each_row(
    pictures: dict[str, Picture], keep: Any, index_now: Any, admin_client: Client
) -> None:
    keep()
    index_now()
    listed(admin_client)
    with captured_queries() as few:
        listed(admin_client)
    for _number in range(4):
        save("coffee.png")
    index_now()
    with captured_queries() as many:
        assert len(listed(admin_client)[0]) == 7
    assert len(many) == len(few)


def test_records__with_labels_beside_vectors_of_another_length(
    configure: Any, index_now: Any, settings: Any, admin_client: Client
) -> None:
    """Wavelets are sparse, too, and can't be multiplied with labels."""
    settings.ROOT_URLCONF = __name__
    configure(METHODS={"wavelet": {}}, RANKING={"wavelet": 1}, STORE_LABELS=True)
    save("coffee.png")
    index_now()
    assert listed(admin_client, label="espresso")[0] == ["coffee"]


def test_labels__are_translated_by_the_site(
    pictures: dict[str, Picture], keep: Any, index_now: Any, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(f"{__name__}.Brightness")
    index_now()
    words = {"no": "No", "dark": "dunkel", "light": "hell"}
    monkeypatch.setattr(stored_labels, "gettext", lambda name: words.get(name, name))
    assert set(names_of(pictures["coffee"])) == {"dunkel", "hell"}
    with override("de"):
        assert records_showing("dunkel").count() == records_showing("dark").count() > 0  # type: ignore[union-attr]  # None only where no class has the name


def test_panel__says_what_the_image_shows(
    pictures: dict[str, Picture], keep: Any, index_now: Any, admin_client: Client
) -> None:
    index_now()
    url = f"/admin/testapp/picture/{pictures['coffee'].pk}/change/"
    assert "espresso" not in admin_client.get(url).content.decode()
    keep()
    versions.register_versions()
    outbox.outdated_records(get_source(Picture)).reset()
    index_now()
    assert re.search(r"This image shows: espresso \(\d+%\)", admin_client.get(url).content.decode())
