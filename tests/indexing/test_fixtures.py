"""Fixtures of all tables: loaded where migrate, and the triggers, have written some of their rows before."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

import similar_images
from similar_images.indexing import sweep
from similar_images.models import IndexedImage, Mark, MethodVersion, Signature, Source
from tests.databases import ALIAS
from tests.items import save_gray
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db(transaction=True)


def stored() -> dict[str, Any]:
    records = IndexedImage.objects.order_by("object_id")
    return {
        "records": list(records.values_list("source__model", "object_id", "file_name", "status", "sha256")),
        "signatures": Signature.objects.count(),
        "marks": list(Mark.objects.values_list("first_id", "second_id")),
        "active": sorted(MethodVersion.objects.filter(is_active=True).values_list("source__model", "name", "version")),
    }


@pytest.mark.parametrize("order", [["testapp", "similar_images"], ["similar_images", "testapp"]])
@pytest.mark.parametrize("moved", [False, True], ids=["same_ids", "other_ids"])
def test_loaddata__of_everything_restores_it(
    order: list[str], moved: bool, mean_method: None, index_now: Any, tmp_path: Path
) -> None:
    items = [save_gray(level) for level in (100, 101, 150)]
    sweep.sweep_sources()
    index_now()
    similar_images.mark(items[0], items[2], alike=True)
    before = stored()
    for app in order:
        call_command("dumpdata", app, database=ALIAS, output=tmp_path / f"{app}.json", verbosity=0)
    call_command("flush", database=ALIAS, interactive=False, verbosity=0)
    if moved:  # the ids that migrate gives are other ones
        Source.objects.all().delete()
        Source.objects.clear_cache()
        sweep.sweep_sources()
    for app in order:
        call_command("loaddata", tmp_path / f"{app}.json", database=ALIAS, verbosity=0, stdout=io.StringIO())
    assert stored() == before
    sweep.sweep_sources()
    index_now()
    assert stored() == before
    assert similar_images.similar_to(Picture.objects.get(pk=items[0].pk), min_similarity=95)
