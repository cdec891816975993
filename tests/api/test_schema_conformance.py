"""Requests that the OpenAPI document allows and forbids, by the hundred: no 5xx, and nothing that it does not say.

`make fuzz-rest` sends thousands.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

pytestmark = pytest.mark.django_db(transaction=True)

CONFIG = Path(__file__).parent / "schemathesis.toml"
CASES = int(os.environ.get("REST_CASES", "8"))
"""Generated requests an operation, beside those that cover every bound of every parameter."""

# `ignored_auth` is for APIs that refuse everybody who is not logged in.
EXCLUDED_CHECKS = "ignored_auth"


def make_user(kind: str) -> list[str]:
    """Return the options with which a kind of visitor is authenticated."""
    if kind == "anonymous":
        return []
    user = User.objects.create_user(kind, password="x", is_staff=kind == "staff")
    if kind == "staff":
        user.user_permissions.set(Permission.objects.filter(codename="change_picture"))
    return ["--auth", f"{kind}:x"]


@pytest.mark.parametrize("kind", ["anonymous", "user", "staff"])
def test_endpoints__answer_as_the_document_says(
    kind: str, live_server: Any, make_picture: Any, index_now: Any, tmp_path: Path, configure: Any
) -> None:
    configure(COSTLY_RATES=None)
    for seed in range(3):
        make_picture(seed)
    index_now()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG, "run"),
            f"{live_server.url}/api/similar-images/schema/",
            *("--checks", "all", "--exclude-checks", EXCLUDED_CHECKS, "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(CASES), "--seed", "1", "--generation-deterministic"),
            *("--suppress-health-check", "all", "--request-timeout", "60", "--continue-on-failure", "--no-color"),
            *make_user(kind),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
