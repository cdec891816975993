"""`manage.py search_backend`, its checks, and what the page of the index's health tells."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError
from django.test import Client

from similar_images.backends import milvus as milvus_module
from similar_images.backends.base import SearchBackend
from similar_images.checks import backends, setting
from similar_images.indexing import backend_feed, versions
from similar_images.models import IndexedImage, MethodVersion
from similar_images.search import backend_recall
from tests import commands
from tests.backends.conftest import make_indexed
from tests.databases import ALIAS
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _angle_method(configure: Any) -> None:
    configure(METHODS={"tests.methods.Angle": {}}, RANKING={"angle": 1})


@pytest.fixture
def pictures(db: None) -> list[Picture]:
    return make_indexed(range(100, 130))


def run(*steps: str) -> str:
    return commands.run("search_backend", "--model", "testapp.Picture", *steps, verbosity=0)[0]


def served() -> int:
    return MethodVersion.objects.filter(is_in_backend=True).count()


def test_steps__fill_switch_and_go_back(pictures: list[Picture], milvus: SearchBackend) -> None:
    assert "angle 1" in run()
    assert "no copy" in run("--check")
    with pytest.raises(CommandError, match="is not filled; run search_backend --fill first"):
        run("--switch")
    assert "30 of 30 signatures, filled, not searched, changes that wait: 0, recall@12 1.000" in run("--fill")
    assert served() == 0
    assert run("--switch").startswith("Searches ask the backend: testapp.picture.image angle 1")
    assert served() == 1
    assert "filled, searched" in run()
    assert "filled, searched" in run("--fill"), "there is nothing left to do"
    pictures[0].delete()
    assert "30 of 29 signatures, filled, searched, changes that wait: 1" in run("--check")
    assert "29 of 29 signatures, filled, searched, changes that wait: 0" in run("--fill")
    assert run("--back") == "Searches ask PostgreSQL again; versions: 1.\n"
    assert served() == 0
    assert "29 of 29 signatures, filled, not searched" in run()
    run("--switch")
    assert "Copies deleted: 1." in run("--drop")
    assert served() == 0
    assert "no copy" in run()


def test_refill__copies_anew(pictures: list[Picture], milvus: SearchBackend) -> None:
    run("--fill")
    run("--switch")
    assert "30 of 30 signatures, filled, not searched" in run("--refill")


def test_switch__refuses_a_copy_that_finds_too_little(pictures: list[Picture], milvus: SearchBackend) -> None:
    run("--fill")
    version = MethodVersion.objects.get(backend_cursor__isnull=False)
    ids = [*IndexedImage.objects.order_by("pk").values_list("pk", flat=True)]
    milvus.write(backend_feed.collection_of(version), [], ids[::2])
    with pytest.raises(CommandError, match="nothing is switched"):
        run("--switch")
    assert served() == 0
    assert backend_recall.measure_backend_recall(milvus, version) < 0.9
    run("--refill")
    run("--switch")
    assert served() == 1


def test_back__needs_no_backend(pictures: list[Picture], milvus: SearchBackend, configure: Any) -> None:
    run("--fill")
    run("--switch")
    configure(SEARCH_BACKEND=None)
    with pytest.raises(CommandError, match="There is no search backend"):
        run("--check")
    assert run("--back") == "Searches ask PostgreSQL again; versions: 1.\n"
    assert served() == 0


def test_check__of_a_server_that_is_down(pictures: list[Picture], configure: Any) -> None:
    configure(SEARCH_BACKEND={"class": "milvus", "uri": "http://127.0.0.1:9", "timeout": 0.2})
    with pytest.raises(CommandError, match=r"Milvus at http://127\.0\.0\.1:9: Fail connecting"):
        run("--check")
    with pytest.raises(CommandError, match="Fail connecting"):
        run("--fill")
    assert not MethodVersion.objects.filter(backend_cursor__isnull=False).exists()


def test_without_a_version_to_serve__it_says_so(configure: Any, milvus: SearchBackend, index_now: Any) -> None:
    configure(METHODS={"tests.methods.Mean": {}}, RANKING={"mean": 1})
    assert "No method is compared in a way that the search backend knows." in run()
    with pytest.raises(CommandError, match="No method"):
        run("--switch")


def test_checks__report_a_backend_that_cannot_be_used(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def problems() -> list[str]:
        return [str(message.msg) for message in backends.check_search_backend()]

    assert problems() == []
    configure(SEARCH_BACKEND={"class": "milvus", "uri": "http://milvus:19530"})
    assert problems() == []
    configure(SEARCH_BACKEND={"class": "milvus", "uri": "x.db"})
    monkeypatch.setattr(milvus_module, "find_spec", lambda name: None if name == "milvus_lite" else name)
    assert "needs milvus-lite: pip install pymilvus[milvus-lite]" in problems()[0]
    monkeypatch.setattr(milvus_module, "find_spec", lambda name: None)
    (message,) = backends.check_search_backend()
    assert message.id == "similar_images.E013"
    assert message.msg == "SIMILAR_IMAGES['SEARCH_BACKEND']: it needs pymilvus: pip install similar_images[milvus]"
    with pytest.raises(CommandError, match="it needs pymilvus"):
        run("--check")
    for wrong in ({"class": "milvus"}, {"class": "milvus", "uri": ""}, {"class": "nowhere.Milvus"}, {"class": "dict"}):
        configure(SEARCH_BACKEND=wrong)
        assert [each.id for each in backends.check_search_backend()] == ["similar_images.E013"]
        with pytest.raises(CommandError, match="SEARCH_BACKEND"):
            run("--check")
    configure(SEARCH_BACKEND={"uri": "x"})
    assert backends.check_search_backend() == []
    assert "must be a dict of options with" in setting.check_setting()[0].msg


def test_checks__report_versions_in_a_backend_that_is_not_in_the_setting(configure: Any) -> None:
    def found(databases: Any = (ALIAS,)) -> list[Any]:
        return [message.id for message in backends.check_served_versions(databases=databases)]

    versions.register_versions()
    assert found() == []
    MethodVersion.objects.filter(name="angle").update(is_in_backend=True)
    assert found() == ["similar_images.W012"]
    assert found(None) == []
    configure(SEARCH_BACKEND={"class": "milvus", "uri": "http://milvus:19530"})
    assert found() == []


@pytest.mark.urls("tests.test_health")
def test_health__tells_how_far_the_backend_is_behind(
    pictures: list[Picture], milvus: SearchBackend, admin_client: Client
) -> None:
    def page() -> str:
        return admin_client.get("/admin/similar_images/health/").content.decode()

    assert "search backend" not in page()
    run("--fill")
    assert "The search backend is up to date." in page()
    pictures[0].delete()
    assert "The search backend is behind: 1 change waits, for" in page()
    pictures[1].delete()
    assert "The search backend is behind: 2 changes wait, the oldest for" in page()
