"""The commands of the guides to REST work, in their order, against the shop."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from project.catalog.models import Category, Product
from tests import drawing

pytestmark = pytest.mark.django_db(transaction=True)

GUIDES = Path(__file__).parents[2] / "docs/how-to"


def test_settings_of_the_guide__let_a_script_send_and_read_an_etag(client: Any, settings: Any) -> None:
    guide = (GUIDES / "call-from-another-origin.md").read_text()
    (block,) = (
        b for b in re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL) if "ALLOW_HEADERS" in b
    )
    values: dict[str, Any] = {}
    exec(block, values)  # noqa: S102 - the settings that the guide has
    for name, value in values.items():
        if name.startswith("CORS_"):
            setattr(settings, name, value)
    origin = {"Origin": "http://127.0.0.1:5173"}
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "if-none-match"}
    preflight = client.options("/api/similar-images/status/", headers={**origin, **asked})
    assert "if-none-match" in preflight["Access-Control-Allow-Headers"]
    assert "ETag" in client.get("/api/similar-images/status/", headers=origin)["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("name", ["use-rest", "call-from-another-origin", "cache-answers"])
def test_commands_of_the_guide__work(
    name: str, live_server: Any, index_now: Any, tmp_path: Path, settings: Any
) -> None:
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": str(tmp_path / "cache")}}
    User.objects.create_superuser("admin", password="admin")
    category = Category.objects.create(pk=1, name="Vases", slug="vases")
    for pk in (12, 40, 41, 42, 43, 44):
        fields = {"name": f"Vase {pk}", "slug": f"vase-{pk}", "price": 20, "category": category}
        Product.objects.create(pk=pk, photo=drawing.file(1), **fields)
    index_now()
    (tmp_path / "photo.jpg").write_bytes(drawing.encoded(drawing.scene(1), "JPEG"))
    sections = re.split(r"^## ", (GUIDES / f"{name}.md").read_text(), flags=re.MULTILINE)
    commands = ["set -euo pipefail", 'curl() { command curl --silent --show-error "$@"; }']
    commands += [f"api={live_server.url}/api/similar-images"]
    for section in sections:
        commands.append(f"echo; echo '## {section.partition(chr(10))[0]}'")
        for block in re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
            commands += [line for line in block.splitlines() if "/media/" not in line and not line.startswith("api=")]
    done = subprocess.run(
        ["bash", "-c", "\n".join(commands)], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    parts = {part.partition("\n")[0]: part for part in done.stdout.split("\n## ")}
    for title, output in parts.items():
        assert '"status":5' not in output, output
        assert title == "Errors" or "about:blank" not in output, output
    if name == "use-rest":
        assert parts["The next page"].count('"similarity"') == 1
        assert parts["Search by an image"].count('"results"') == 2
        assert '"alike":false' in parts["Mark two items"]
        assert {'"status":400', '"status":404'} <= set(re.findall(r'"status":\d+', parts["Errors"]))
    if name == "call-from-another-origin":
        assert done.stdout.count("access-control-allow-origin: http://127.0.0.1:5173") == 2
    if name == "cache-answers":
        assert "HTTP/1.1 304" in parts["Not modified"]
