"""The map in the admin: how it is made and kept up to date, what it shows to whom, and what can be done there."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from PIL import Image

from project.celery import app as celery_app
from similar_images.admin import MapAdmin, MarkAdmin, SimilarImagesMixin
from similar_images.models import IndexedImage, Map, MapPoint, Mark, ReindexRequest, Source
from similar_images.similarity_map import layout, state, tiles, vectors
from similar_images.tasks import sweep, update_maps
from tests import drawing
from tests.commands import run
from tests.databases import connection
from tests.testapp.models import Item, Photo, Picture

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_map"), pytest.mark.usefixtures("mean_method")]

URL = "/admin/similar_images/map/"


class PictureAdmin(SimilarImagesMixin, admin.ModelAdmin):
    list_filter = ["published"]
    search_fields = ["title"]


class OwnPictures(PictureAdmin):
    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(title="mine")


class ByTitle(PictureAdmin):
    """Lets see by a permission on the single object, as with django-guardian."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or obj.title == "mine"

    has_change_permission = has_view_permission


class ItemAdmin(SimilarImagesMixin, admin.ModelAdmin):
    list_filter = ["published"]


def make_site(picture_admin: type[admin.ModelAdmin] = PictureAdmin, name: str = "admin") -> Any:
    site = admin.AdminSite(name)
    site.register(Picture, picture_admin)
    site.register(Item, ItemAdmin)
    site.register(Mark, MarkAdmin)
    site.register(Map, MapAdmin)
    return site


urlpatterns = [
    path("admin/", make_site().urls),
    path("own/admin/", make_site(OwnPictures, "own").urls),
    path("by-object/admin/", make_site(ByTitle, "by-object").urls),
    path("similar-images/", include("similar_images.urls")),
]


@pytest.fixture
def pictures(make_picture: Any, index_now: Any) -> list[Picture]:
    """Twelve pictures on the map, of which the first three are "mine"; every second one is published."""
    made = [
        make_picture(seed, title="mine" if seed < 3 else f"Scene {seed}", published=bool(seed % 2))
        for seed in range(12)
    ]
    index_now()
    run("map_images", "testapp.Picture")
    return made


def source_id(model: str = "picture") -> int:
    return Source.objects.get(app_label="testapp", model=model).pk


def login(client: Client, *codenames: str) -> Client:
    user = User.objects.create(username="staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


@dataclass
class Shown:
    """All that the map gives to a browser: ids of records by the list, by the points, and by the thumbnails."""

    listed: list[int]
    points: dict[str, Any]
    tiles: dict[int, Image.Image] = field(default_factory=dict)
    sheets: list[Image.Image] = field(default_factory=list)

    @property
    def object_ids(self) -> set[str]:
        """The objects in question, after checking that all three tell of the same ones."""
        assert sorted(self.listed) == sorted(self.points["ids"])
        assert set(self.tiles) <= set(self.listed)
        return set(IndexedImage.objects.filter(pk__in=self.listed).values_list("object_id", flat=True))


def read_map(client: Client, query: str = "", prefix: str = "", model: str = "picture") -> Shown:
    """Ask for the page and all that its script fetches."""
    url = f"{prefix}{URL}{source_id(model)}/"
    html = client.get(url + query).content.decode()
    shown = Shown(
        [int(pk) for pk in re.findall(r'name="ids" value="(\d+)"', html)],
        client.get(f"{url}points/{query}").json(),
    )
    for first, last in shown.points["sheets"]:
        read_tiles(shown, client.get(f"{url}tiles/{first}/{last}/{query}").content)
    return shown


def read_tiles(shown: Shown, content: bytes) -> None:
    start = 4 + int.from_bytes(content[:4])
    header = json.loads(content[4:start])
    ids = iter(header["ids"])
    for length in header["lengths"]:
        sheet = Image.open(io.BytesIO(content[start : start + length]))
        start += length
        shown.sheets.append(sheet)
        for top in range(0, sheet.height, tiles.TILE_SIDE):
            shown.tiles[next(ids)] = sheet.crop((0, top, tiles.TILE_SIDE, top + tiles.TILE_SIDE))
    assert start == len(content)
    assert next(ids, None) is None


def record_of(item: Any) -> IndexedImage:
    return IndexedImage.objects.get(source__model=type(item)._meta.model_name, object_id=str(item.pk))


def ids_of(*items: Any) -> str:
    return ",".join(str(record_of(item).pk) for item in items)


# --- layout and thumbnails ---------------------------------------------------------------------------------------


def groups_of_vectors(count: int = 10, groups: int = 4) -> tuple[Any, Any]:
    """Return vectors around some centers, and the number of each one's center."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(groups), count)
    return (rng.normal(size=(groups, 32))[labels] * 5 + rng.normal(size=(len(labels), 32))).astype(np.float32), labels


def nearest_labels(points: Any, labels: Any) -> Any:
    distances = ((points[:, None] - points[None]) ** 2).sum(-1)
    np.fill_diagonal(distances, np.inf)
    return labels[distances.argmin(1)]


def test_layout__neighbors_stay_neighbors() -> None:
    values, labels = groups_of_vectors()
    points = layout.lay_out(values)
    assert points.min() >= 0
    assert points.max() <= 1
    assert (nearest_labels(points, labels) == labels).all()
    assert (layout.lay_out(values) == points).all()


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 9])
def test_layout__few_or_equal_vectors_have_places_of_their_own(count: int) -> None:
    points = layout.lay_out(np.ones((count, 8), np.float32))
    assert len(np.unique(points, axis=0)) == len(points) == count


def test_layout__copies_do_not_cover_each_other() -> None:
    values, _labels = groups_of_vectors()
    values[1] = values[0]
    points = layout.lay_out(values)
    assert np.linalg.norm(points[0] - points[1]) > 0.9 * layout.MIN_SPACING / len(values) ** 0.5


def test_layout__additions_stand_beside_their_nearest_neighbor() -> None:
    values, labels = groups_of_vectors()
    points = layout.lay_out(values)
    added = layout.place_near(values, points, values[::5] + 0.01)
    together = np.concatenate([points, added])
    assert (nearest_labels(together, np.concatenate([labels, labels[::5]]))[len(points) :] == labels[::5]).all()


def test_curve__goes_through_the_map_without_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "GRID_BITS", 4)
    cells = np.stack(np.meshgrid(np.arange(16), np.arange(16)), -1).reshape(-1, 2)
    index = layout.curve_index((cells + 0.5) / 16)
    assert sorted(index) == list(range(256))
    assert (np.abs(np.diff(cells[np.argsort(index)], axis=0)).sum(1) == 1).all()


def test_tiles__are_joined_as_they_are() -> None:
    made = [tiles.make_tile(np.asarray(drawing.scene(seed, (160, 120)))) for seed in range(tiles.MAX_SHEET_TILES + 3)]
    first, second = (Image.open(io.BytesIO(sheet)) for sheet in tiles.join_tiles(made))
    assert first.size == (64, 64 * tiles.MAX_SHEET_TILES)
    assert second.size == (64, 64 * 3)
    for number in (0, 9, 127):
        alone = np.asarray(Image.open(io.BytesIO(made[number])))
        joined = np.asarray(first.crop((0, 64 * number, 64, 64 * number + 64)))
        assert (alone[2:-2] == joined[2:-2]).all()  # at the edge, decoders blend colors with those of the next tile


# --- updates -----------------------------------------------------------------------------------------------------


def test_update__adds_new_images_and_leaves_the_others_where_they_are(
    pictures: list[Picture], make_picture: Any, index_now: Any, admin_client: Client
) -> None:
    before = {point.pk: (point.x, point.y) for point in MapPoint.objects.all()}
    new = make_picture(3, title="Twin", image=drawing.file(3, name="twin.png"))
    index_now()
    assert "12 images on the map; 1 is not on it yet." in page_text(admin_client)
    assert run("map_images", "testapp.Picture")[0] == "testapp.Picture.image: 13 of 13 images on the map.\n"
    points = {point.pk: (point.x, point.y) for point in MapPoint.objects.all()}
    added = points.pop(record_of(new).pk)
    assert points == before
    twin = points[record_of(pictures[3]).pk]  # which others may be near, too: a layout differs by processor
    assert np.hypot(twin[0] - added[0], twin[1] - added[1]) <= 2 * layout._spacing(13)
    assert MapPoint.objects.get(pk=record_of(new)).tile


def test_update__lays_all_out_where_many_are_new(pictures: list[Picture], make_picture: Any, index_now: Any) -> None:
    for seed in range(20, 24):
        make_picture(seed)
    index_now()
    assert "16 of 16 images on the map, all laid out anew." in run("map_images", "testapp.Picture")[0]
    assert not MapPoint.objects.filter(is_added=True).exists()


def page_text(client: Client, url: str = URL) -> str:
    html = client.get(url).content.decode().partition('class="similar-images-review')[2]
    return re.sub(r"\s+([,;.])", r"\1", re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html)))


def test_replaced_and_deleted_images__are_gone_at_once(
    pictures: list[Picture], index_now: Any, admin_client: Client
) -> None:
    replaced, deleted, rewritten, *_others = pictures
    stale = record_of(replaced).pk, record_of(rewritten).pk
    replaced.image = drawing.file(50)
    replaced.save()
    Picture.objects.filter(pk=deleted.pk).delete()
    source = Source.objects.get(pk=source_id())
    ReindexRequest.objects.create(source=source, object_id=str(rewritten.pk), due_at="2030-01-01T00:00Z")
    shown = read_map(admin_client)
    assert len(shown.object_ids) == len(shown.tiles) == 9
    assert not set(stale) & {*shown.tiles, *shown.points["ids"]}
    ReindexRequest.objects.all().delete()
    index_now()
    assert stale[0] not in read_map(admin_client).tiles  # described anew, but the thumbnail is the old one
    run("map_images", "testapp.Picture")
    tile = np.asarray(read_map(admin_client).tiles[stale[0]])[:48].astype(float)
    expected = np.asarray(drawing.scene(50).resize((64, 48))).astype(float)
    former = np.asarray(drawing.scene(0).resize((64, 48))).astype(float)
    assert np.abs(tile - expected).mean() < 20 < np.abs(tile - former).mean()
    assert not MapPoint.objects.exclude(record__in=IndexedImage.objects.all()).exists()


def test_images_without_a_readable_file__have_a_place_but_no_thumbnail(
    make_picture: Any, index_now: Any, admin_client: Client
) -> None:
    items = [make_picture(seed) for seed in range(6)]
    index_now()
    items[0].image.storage.delete(items[0].image.name)
    with items[1].image.storage.open(items[1].image.name, "wb") as file:
        file.write(drawing.encoded(drawing.scene(99)))  # behind the index's back
    assert "without a thumbnail: 2" in run("map_images", "testapp.Picture")[0]
    shown = read_map(admin_client)
    assert len(shown.points["ids"]) == 6
    assert len(shown.tiles) == 4


def test_sample__is_bounded_and_said_so(
    make_picture: Any, index_now: Any, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "MAX_MAPPED", 6)
    monkeypatch.setattr("similar_images.admin.source_map.MAX_MAPPED", 6)
    for seed in range(8):
        make_picture(seed)
    index_now()
    run("map_images", "testapp.Picture")
    assert len(read_map(admin_client).points["ids"]) == 6
    text = page_text(admin_client)
    assert "6 images on the map, a sample of 8." in text, text[:700]


def test_button__has_a_worker_make_the_map(
    make_picture: Any,
    index_now: Any,
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    monkeypatch.setitem(celery_app.conf.maps[0], "task_always_eager", True)
    make_picture(1)
    index_now()
    url = f"{URL}{source_id()}/"
    assert "Make the map" in page_text(admin_client, url)
    with django_capture_on_commit_callbacks(execute=True):
        admin_client.post(f"{url}update/")
        assert "The map is being updated." in page_text(admin_client, url)
    assert "1 image on the map." in page_text(admin_client)


@pytest.mark.parametrize("task", [sweep, update_maps])
def test_tasks__make_requested_maps_once(task: Any, pictures: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(celery_app.conf.maps[0], "task_always_eager", True)
    Map.objects.update(laid_out_at=None, method="another")
    task()
    assert Map.objects.get().laid_out_at is None
    state.request_update(Source.objects.get(pk=source_id()))
    task()
    image_map = Map.objects.get()
    assert image_map.laid_out_at is not None
    assert (image_map.requested_at, image_map.started_at, image_map.error) == (None, None, "")


def test_update__of_a_map_that_another_worker_makes(pictures: list[Picture]) -> None:
    from django.utils import timezone

    Map.objects.update(started_at=timezone.now())
    with pytest.raises(CommandError, match="another worker"):
        run("map_images", "testapp.Picture")
    Map.objects.update(started_at=timezone.now() - 2 * state.UPDATE_TIMEOUT)
    assert "12 of 12" in run("map_images", "testapp.Picture")[0]


def test_update__without_scikit_learn(
    make_picture: Any, index_now: Any, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_picture(1)
    index_now()
    for module in ("similar_images.admin.map", "similar_images.similarity_map.update"):
        monkeypatch.setattr(f"{module}.can_lay_out", lambda: False)
    with pytest.raises(CommandError, match=r"similar_images\[learn\]"):
        run("map_images", "testapp.Picture")
    assert "A map needs scikit-learn" in page_text(admin_client)


def test_update__without_a_method_to_lay_out_by(make_picture: Any, index_now: Any, configure: Any) -> None:
    configure(METHODS={"tests.methods.Sparse": {}}, RANKING={"sparse": 1})
    make_picture(1)
    index_now()
    with pytest.raises(CommandError, match="no method whose signatures"):
        run("map_images", "testapp.Picture")


# --- who sees what -----------------------------------------------------------------------------------------------


def test_page__is_in_the_list_of_the_admin(admin_client: Client) -> None:
    assert f'href="{URL}"' in admin_client.get("/admin/").content.decode()


def test_map__shows_all_to_those_who_may_see_all(pictures: list[Picture], client: Client) -> None:
    shown = read_map(login(client, "view_picture"))
    assert shown.object_ids == {str(item.pk) for item in pictures}
    assert len(shown.tiles) == 12
    assert shown.points["heights"] == [48] * 12


@pytest.mark.parametrize("prefix", ["/own", "/by-object"])
def test_map__shows_what_the_user_may_see(prefix: str, pictures: list[Picture], client: Client) -> None:
    """Nothing else shows, counts, or can be fetched or acted on, thumbnails included."""
    login(client, "view_picture", "change_picture")
    shown = read_map(client, prefix=prefix)
    assert shown.object_ids == {str(item.pk) for item in pictures[:3]}
    assert len(shown.tiles) == 3
    assert sum(sheet.height for sheet in shown.sheets) == 3 * tiles.TILE_SIDE
    assert "3 images on the map." in page_text(client, f"{prefix}{URL}")
    url = f"{prefix}{URL}{source_id()}/"
    every = Shown([], {})
    read_tiles(every, client.get(f"{url}tiles/0/{2**40}/").content)
    assert set(every.tiles) == set(shown.tiles)
    hidden, own = pictures[5], pictures[0]
    assert client.get(f"{url}items/{ids_of(hidden, own)}/").json()["items"] == [
        {"id": record_of(own).pk, "title": "mine", "url": f"{prefix}/admin/testapp/picture/{own.pk}/change/"}
        | {"image": own.image.url}
    ]
    answer = client.post(f"{url}open/", {"action": "list", "ids": ids_of(hidden, own)})
    assert answer.headers["Location"].endswith(f"?id__in={own.pk}")
    assert client.post(f"{url}open/", {"action": "list", "ids": ids_of(hidden)}).headers["Location"] == url
    assert read_map(client, "?q=Scene", prefix).object_ids == set()


@pytest.mark.parametrize("names", [{"view_item"}, {"view_photo"}, {"view_item", "view_photo"}], ids=sorted)
def test_map__of_a_gallery(names: set[str], index_now: Any, client: Client) -> None:
    """Photos have no admin: they are seen with their owner alone, by whose name they go."""
    for number in range(3):
        item = Item.objects.create(name=f"Oak {number}", published=number > 0)
        Photo.objects.create(item=item, image=drawing.file(number))
    index_now()
    run("map_images", "testapp.Photo")
    login(client, *names)
    url = f"{URL}{source_id('photo')}/"
    if names != {"view_item", "view_photo"}:
        shown_codes = {client.get(f"{url}{part}").status_code for part in ("", "points/", "tiles/0/9999999999/")}
        assert shown_codes == {403} or read_map(client, model="photo").object_ids == set()
        return
    shown = read_map(client, model="photo")
    assert len(shown.object_ids) == 3
    items = client.get(f"{url}items/{','.join(map(str, shown.listed))}/").json()["items"]
    assert {each["title"] for each in items} == {f"Item Oak {number}" for number in range(3)}
    assert {each["url"] for each in items} == {f"/admin/testapp/item/{item.pk}/change/" for item in Item.objects.all()}
    assert len(read_map(client, "?published__exact=0", model="photo").object_ids) == 1
    answer = client.post(f"{url}open/", {"action": "list", "ids": ",".join(map(str, shown.listed))})
    keys = answer.headers["Location"].partition("id__in=")[2].split("%2C")
    assert {int(key) for key in keys} == set(Item.objects.values_list("pk", flat=True))


@pytest.mark.parametrize("part", ["", "points/", "tiles/0/1/", "items/1/"])
def test_map__without_permission(part: str, pictures: list[Picture], client: Client) -> None:
    login(client, "view_user")
    assert client.get(f"{URL}{source_id()}/{part}").status_code == 403
    assert client.get(URL).status_code == 403
    assert f'href="{URL}"' not in client.get("/admin/").content.decode()
    for action in ("open", "update"):
        assert client.post(f"{URL}{source_id()}/{action}/").status_code == 403
    assert Client().get(f"{URL}{source_id()}/{part}").status_code == 302


def test_update__needs_the_permission_to_change(pictures: list[Picture], client: Client) -> None:
    login(client, "view_picture")
    assert "Update the map" not in page_text(client)
    assert client.post(f"{URL}{source_id()}/update/").status_code == 403
    assert Map.objects.get().requested_at is None


def test_tiles__kept_by_a_browser_are_asked_for_again(pictures: list[Picture], client: Client) -> None:
    login(client, "view_picture")
    url = f"{URL}{source_id()}/tiles/0/{2**40}/"
    answer = client.get(url)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    kept = {"If-None-Match": answer.headers["ETag"]}
    assert client.get(url, headers=kept).status_code == 304
    assert client.get(f"/own{url}", headers=kept).status_code == 200
    User.objects.get().user_permissions.clear()
    assert client.get(url, headers=kept).status_code == 403


# --- filters and actions -----------------------------------------------------------------------------------------


def test_filters__are_those_of_the_list(pictures: list[Picture], admin_client: Client) -> None:
    published = {str(item.pk) for item in pictures if item.published}
    shown = read_map(admin_client, "?published__exact=1")
    assert shown.object_ids == published
    assert len(shown.tiles) == len(published)
    assert read_map(admin_client, "?q=Scene+5").object_ids == {str(pictures[5].pk)}
    html = admin_client.get(f"{URL}?q=Scene").content.decode()
    assert 'href="?published__exact=1&amp;q=Scene"' in html or 'href="?q=Scene&amp;published__exact=1"' in html
    similar = read_map(admin_client, f"?similar_to={pictures[0].pk}").object_ids
    assert 0 < len(similar) < 12


def test_filters__that_there_are_none_of(pictures: list[Picture], admin_client: Client) -> None:
    url = f"{URL}{source_id()}/"
    assert admin_client.get(f"{url}?nonsense=1").headers["Location"] == url
    assert admin_client.get(f"{url}points/?nonsense=1").status_code == 404


def test_list__is_in_the_order_of_the_map(
    pictures: list[Picture], admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("similar_images.admin.map.ITEMS_A_PAGE", 5)
    pages = [
        re.findall(r'name="ids" value="(\d+)"', admin_client.get(f"{URL}?p={number}").content.decode())
        for number in (1, 2, 3)
    ]
    expected = MapPoint.objects.order_by("position").values_list("pk", flat=True)
    assert [int(pk) for page in pages for pk in page] == list(expected)
    assert [len(page) for page in pages] == [5, 5, 2]


def test_actions__lead_to_pages_of_the_admin(pictures: list[Picture], admin_client: Client) -> None:
    def act(action: str, *items: Picture) -> str:
        data = {"action": action, "ids": ids_of(*items)}
        location: str = admin_client.post(f"{URL}{source_id()}/open/", data).headers["Location"]
        return location

    first, second = sorted(pictures[:2], key=lambda item: MapPoint.objects.get(record=record_of(item)).position)
    keys = f"{first.pk}%2C{second.pk}"
    assert act("list", first, second) == f"/admin/testapp/picture/?id__in={keys}"
    assert admin_client.get(act("list", first, second)).context["cl"].result_count == 2
    pair = act("compare", first, second)
    assert pair == f"/admin/testapp/picture/{first.pk}/similar-images/?field=image&other={second.pk}"
    assert act("similar", first) == f"/admin/testapp/picture/?similar_to={first.pk}"
    assert act("similar", first, second) == f"{URL}{source_id()}/"
    assert "Select one item to find similar ones." in admin_client.get(URL).content.decode()
    assert act("compare", first) == f"{URL}{source_id()}/"
    answer = admin_client.post(f"{URL}{source_id()}/open/", {"action": "nonsense", "ids": ids_of(first)})
    assert answer.status_code == 404


@pytest.mark.parametrize("part", ["", "points/", f"tiles/0/{2**40}/"])
def test_map__fixed_number_of_queries(part: str, make_picture: Any, index_now: Any, admin_client: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get(f"{URL}{source_id()}/{part}").status_code == 200
        return len(queries)

    for seed in range(6):
        make_picture(seed)
    index_now()
    run("map_images", "testapp.Picture")
    count()
    few = count()
    for seed in range(6, 16):
        make_picture(seed)
    index_now()
    run("map_images", "testapp.Picture")
    assert count() == few
