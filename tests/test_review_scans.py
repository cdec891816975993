"""The search for duplicates on the page of the review: by whom it is begun, and what it tells."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from similar_images import registry
from similar_images.duplicates import scans
from similar_images.duplicates.scans import ScanProgress
from similar_images.models import DuplicateScan, Source
from tests.mergeapp.models import GENERIC_RELATIONS, Asset
from tests.test_review import SOURCE, staff, superuser, text_of

pytestmark = [GENERIC_RELATIONS, pytest.mark.django_db, pytest.mark.urls("tests.test_review")]

URL = "/admin/similar_images/duplicates/"


@pytest.fixture(autouse=True)
def source(monkeypatch: Any) -> Source:
    monkeypatch.setitem(registry._sources, (Asset, "image"), SOURCE)
    Source.objects.create_missing([SOURCE])
    return Source.objects.get(app_label="mergeapp")


def press(client: Client, source: Source) -> Any:
    return client.post(f"{URL}scan/", {"source": source.pk}, follow=True)


def tell(client: Client) -> str:
    return text_of(client.get(URL)).partition("Kind")[0]


def test_scan__is_requested_waited_for_and_told(source: Source) -> None:
    client = superuser()
    assert "Never searched. Look for duplicates now" in tell(client)
    assert "begins as soon as a worker is free" in text_of(press(client, source))
    assert "Waiting for a worker." in tell(client)
    assert "Look for duplicates now" not in tell(client)
    progress = ScanProgress.begin(source.pk)
    DuplicateScan.objects.update(percent=40)
    page = client.get(URL)
    assert "40% of the images are done" in text_of(page)
    assert "admin-progress.js" in page.content.decode()
    progress.finish(is_complete=False)
    page = client.get(URL)
    assert "Last searched on" in text_of(page)
    assert "were left out" in text_of(page)
    assert "admin-progress.js" not in page.content.decode()


def test_scan__that_no_worker_takes_up_is_told(source: Source) -> None:
    client = superuser()
    press(client, source)
    DuplicateScan.objects.update(changed_at=timezone.now() - timedelta(minutes=1))
    assert "No worker has taken this up yet. Start a Celery worker" in tell(client)


def test_scan__that_is_lost_can_be_begun_again(source: Source) -> None:
    client = superuser()
    ScanProgress.begin(source.pk)
    DuplicateScan.objects.update(changed_at=timezone.now() - 2 * scans.LOST_AFTER)
    assert "The last search stopped before it was done." in tell(client)
    press(client, source)
    assert DuplicateScan.objects.get().status == "waiting"


def test_scan__that_failed_is_told(source: Source) -> None:
    ScanProgress.begin(source.pk).fail()
    assert "The last search failed." in tell(superuser())


@pytest.mark.parametrize(
    ("permissions", "status"), [([], 403), (["change_page"], 403), (["view_asset"], 403), (["change_asset"], 200)]
)
def test_scan__needs_the_permission_to_change(source: Source, permissions: list[str], status: int) -> None:
    client = staff(*permissions)
    assert press(client, source).status_code == status
    assert DuplicateScan.objects.exists() == (status == 200)
    DuplicateScan.objects.all().delete()
    if permissions == ["view_asset"]:
        assert "Look for duplicates now" not in tell(client)


def test_scan__needs_a_post_and_a_source_that_is_seen(source: Source) -> None:
    client = superuser()
    assert client.get(f"{URL}scan/").status_code == 403
    others = Source.objects.get(app_label="testapp", model="picture")  # which has no admin on this site
    assert press(client, others).status_code == 403
    assert client.post(f"{URL}scan/", {"source": "none"}).status_code == 403
