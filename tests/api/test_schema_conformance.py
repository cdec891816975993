"""Requests that the OpenAPI document allows and forbids: no 5xx, and nothing that it does not say.

`make fuzz-rest` sends thousands.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from similar_images.api.filter_parameters import filter_body_fields
from tests.databases import connection
from tests.testapp.models import Item, Photo, Picture

pytestmark = pytest.mark.django_db(transaction=True)

CASES = int(os.environ.get("REST_CASES", "5"))
"""Generated requests an operation; with the variable set, also those that cover every bound of every parameter."""

# `ignored_auth` is for APIs that refuse everybody who is not logged in.
EXCLUDED_CHECKS = "ignored_auth"


def make_user(kind: str) -> list[str]:
    """Return the options with which a kind of visitor is authenticated."""
    if kind == "anonymous":
        return []
    user = User.objects.create_user(kind, password="x", is_staff=kind == "staff")
    if kind == "staff":
        user.user_permissions.set(Permission.objects.filter(codename__startswith="change_"))
    return ["--auth", f"{kind}:x"]


@pytest.mark.parametrize("kind", ["anonymous", "user", "staff"])
def test_endpoints__answer_as_the_document_says(
    kind: str,
    live_server: Any,
    make_picture: Any,
    index_now: Any,
    tmp_path: Path,
    configure: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(
        METHODS={"tests.methods.Reader": {}},
        RANKING={"mean": 1},
        COMPARE_MEASURES=["phash"],
        COSTLY_RATES=None,
    )
    monkeypatch.setattr(logging.getLogger("django.request"), "disabled", True)  # a line for each refusal
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 60)  # one connection for all requests of a thread
    pictures = [make_picture(seed) for seed in (1, 1, 2)]
    items = [Item.objects.create(name=str(seed)) for seed in (1, 2)]
    for item in items:
        Photo.objects.create(item=item, image=pictures[0].image.name)
    index_now()
    objects = {model._meta.label_lower: [str(item.pk) for item in model.objects.all()] for model in (Picture, Item)}
    filters = list(filter_body_fields())
    phases = "coverage,fuzzing" if "REST_CASES" in os.environ else "fuzzing"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{live_server.url}/api/similar-images/schema/"),
            *("--checks", "all", "--exclude-checks", EXCLUDED_CHECKS, "--phases", phases),
            *("--max-examples", str(CASES), "--seed", "1", "--generation-deterministic"),
            *("--suppress-health-check", "all", "--request-timeout", "60", "--continue-on-failure", "--no-color"),
            *make_user(kind),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "REST_OBJECTS": json.dumps(objects),
            "REST_FILTERS": json.dumps(filters),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
