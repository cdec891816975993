"""The package as a stranger gets it: in a new environment, with the lines of the README in a new project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from project import services

ROOT = Path(__file__).parents[1]


def blocks(readme: str) -> dict[str, str]:
    """The README's code by the file that its first line names."""
    found = re.findall(r"```\w+\n(?:#|\{#) (\S+)(?: #\})?\n(.*?)```", readme, re.DOTALL)
    assert found
    return dict(found)


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "COV", "PYTEST"))
    }
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment | env, text=True, capture_output=True, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ".", cwd=ROOT)
    (path,) = folder.glob("*.whl")
    return path


def test_wheel__has_the_app_and_nothing_of_the_demo(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for expected in (
        "similar_images/migrations/0001_initial.py",
        "similar_images/templates/similar_images/widget.html",
        "similar_images/static/similar_images/similar_images.css",
        "similar_images/static/similar_images/drop.js",
        "similar_images/static/similar_images/admin-notice.js",
        "similar_images/static/similar_images/map.js",
        "similar_images/static/similar_images/similar-items.js",
        "similar_images/static/similar_images/widget.js",
        "similar_images/management/commands/index_images.py",
        "similar_images/signatures/embedding/imagenet_labels.txt",
        "similar_images/py.typed",
        "similar_images/locale/de/LC_MESSAGES/django.mo",
    ):
        assert expected in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"similar_images"}
    assert not [name for name in names if "benchmark" in name or "plots" in name]
    assert any(name.endswith("licenses/LICENSE") for name in names)


PREAMBLE = {
    "mysite/__init__.py": "from .celery import app\n",
    "mysite/celery.py": (
        "import os\n"
        "from celery import Celery\n"
        'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")\n'
        'app = Celery("mysite")\n'
        'app.config_from_object("django.conf:settings", namespace="CELERY")\n'
        "app.autodiscover_tasks()\n"
    ),
    "mysite/settings.py": (
        'INSTALLED_APPS += ["shop"]\n'
        'DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres",\n'
        '    "HOST": os.environ["PGHOST"]}}\n'
        'MEDIA_ROOT = BASE_DIR / "media"\n'
        'MEDIA_URL = "media/"\n'
        'CELERY_BROKER_URL = "redis://127.0.0.1:1/0"\n'
    ),
    "mysite/urls.py": (
        "from shop.views import page, product\n"
        'urlpatterns += [path("product/<int:pk>/", product, name="product"), path("<path:path>", page)]\n'
    ),
    "shop/models.py": (
        "class Product(models.Model):\n"
        "    name = models.CharField(max_length=50)\n"
        "    published = models.BooleanField(default=True)\n"
        '    photo = models.ImageField(upload_to="photos/")\n\n'
        "    def __str__(self): return self.name\n\n"
        '    def get_absolute_url(self): return f"/product/{self.pk}/"\n\n'
    ),
    "shop/admin.py": "from shop.models import Product\n",
    "shop/views.py": (
        "from django.http import HttpResponse\n"
        "from django.shortcuts import get_object_or_404\n"
        "from shop.models import Product\n\n"
        "def product(request, pk):\n"
        '    return render(request, "shop/product.html", {"product": get_object_or_404(Product, pk=pk)})\n\n'
        "def page(request, path):  # what a CMS ends with: it answers every address\n"
        "    return HttpResponse(path)\n"
    ),
}

USE = """
import io
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.test import Client
from PIL import Image
from shop.models import Product

def photo(color):
    data = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(data, "PNG")
    return ContentFile(data.getvalue(), name=f"{color}.png")

one = Product.objects.create(name="Red", photo=photo("red"))
two = Product.objects.create(name="Also red", photo=photo("red"))
Product.objects.create(name="Hidden", photo=photo("red"), published=False)
call_command("index_images", sync=True)

client = Client(headers={"host": "localhost"})
html = client.get(one.get_absolute_url()).content.decode()
assert "You may also like" in html and "Also red" in html and "Hidden" not in html, html
html = client.get(f"/similar-images/shop.product/{one.pk}/").content.decode()
assert "Also red" in html and "Hidden" not in html, html
(match,) = client.get(f"/api/similar-images/shop.product/{one.pk}/similar/").json()["results"]
assert (match["title"], match["similarity"]) == ("Also red", 100.0), match
import similar_images
assert "site-packages" in similar_images.__file__, similar_images.__file__
"""


def test_readme__its_lines_work_in_a_new_project(wheel: Path, tmp_path: Path, open_folder: Callable[[], Path]) -> None:
    """A new environment with the wheel and what it depends on; no other line than the README's touches the app."""
    run(sys.executable, "-m", "venv", "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[rest]", "psycopg[binary]", "redis", cwd=tmp_path)
    run(python, "-m", "django", "startproject", "mysite", ".", cwd=tmp_path)
    run(python, "-m", "django", "startapp", "shop", cwd=tmp_path)
    (tmp_path / "shop/templates/shop").mkdir(parents=True)
    lines = blocks((ROOT / "README.md").read_text())
    assert set(lines) == {
        "mysite/settings.py",
        "mysite/urls.py",
        "shop/admin.py",
        "shop/models.py",
        "shop/templates/shop/product.html",
    }
    for name in {*PREAMBLE, *lines}:
        path = tmp_path / name
        before = path.read_text() if path.exists() else ""
        if name == "mysite/settings.py":
            before = "import os\n" + before
        path.write_text(before + PREAMBLE.get(name, "") + lines.get(name, ""))
    with services.postgres(open_folder()) as server:
        host = server.url.partition("host=")[2].replace("%2F", "/")
        manage = [python, "-W", "error::DeprecationWarning:similar_images", "manage.py"]
        run(*manage, "check", cwd=tmp_path, PGHOST=host)
        run(*manage, "makemigrations", "shop", cwd=tmp_path, PGHOST=host)
        run(*manage, "migrate", cwd=tmp_path, PGHOST=host)
        run(*manage, "makemigrations", "--check", cwd=tmp_path, PGHOST=host)
        run(*manage, "shell", "-c", USE, cwd=tmp_path, PGHOST=host)
