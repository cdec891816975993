"""A web process loads neither OpenCV nor onnxruntime nor NumPy until a request needs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.databases import connection

ROOT = Path(__file__).parents[1]
HEAVY = {"cv2", "onnx", "onnxruntime", "numpy"}

SCRIPT = f"""
import sys, django
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("check")
heavy = lambda: sorted(set(sys.modules) & {HEAVY})
assert not heavy(), ("start-up", heavy())
client = Client()
for path in sys.argv[1:]:
    answer = client.get(path, headers={{"host": "localhost"}})
    assert answer.status_code == 200, (path, answer.status_code)
    assert b"Scene 2" in answer.content, path
    assert not heavy(), (path, heavy())
assert client.get("/similar-images/compare/", headers={{"host": "localhost"}}).status_code == 200
assert not heavy(), ("compare", heavy())
"""


@pytest.mark.django_db(transaction=True)
def test_pages_of_an_indexed_item__load_no_heavy_library(make_picture: Any, index_now: Any, tmp_path: Path) -> None:
    item = make_picture(1)
    make_picture(2)
    index_now()
    paths = [
        f"/similar-images/testapp.picture/{item.pk}/",
        f"/api/similar-images/testapp.picture/{item.pk}/similar/",
    ]
    database = os.environ["DATABASE_URL"].replace("/postgres?", f"/{connection.settings_dict['NAME']}?")
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": database}
    env["TEST_SIMILAR_IMAGES"] = '{"NEAR_DUPLICATE_THRESHOLD": 85}'
    subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT, *paths], cwd=ROOT, env=env, check=True, timeout=60)


def test_import__of_the_package_needs_no_settings() -> None:
    script = f"import sys, similar_images; assert not set(sys.modules) & {HEAVY | {'celery', 'rest_framework'}}"
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, check=True, timeout=60)
