"""A project with README's lines, in a folder and a database of its own: its REST_FRAMEWORK setting is another's.

Run with a setting as JSON, it prints what the endpoints answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.databases import connection

FILES = {
    "settings.py": """
        import json
        import os
        import dj_database_url

        DATABASES = {"default": dj_database_url.parse(os.environ["HOST_DATABASE_URL"])}
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        SECRET_KEY = "test"
        USE_TZ = True
        ALLOWED_HOSTS = ["*"]
        MEDIA_ROOT = "media"
        MEDIA_URL = "/media/"
        ROOT_URLCONF = "urls"
        MIDDLEWARE = [
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ]
        INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "shop"]
        INSTALLED_APPS += ["rest_framework", "similar_images"]
        CELERY_BROKER_URL = "redis://localhost:1/0"
        HOST = json.loads(os.environ.get("HOST_SETTINGS", "{}"))
        globals().update({name: value for name, value in HOST.items() if name.isupper()})
        SIMILAR_IMAGES = {"METHODS": {"color": {}}, "RANKING": {"color": 1}, "MIN_SIMILARITY": 0}
        SIMILAR_IMAGES["NEAR_DUPLICATE_THRESHOLD"] = 101
    """,
    "urls.py": """
        from django.conf import settings
        from django.urls import include, path, re_path
        from rest_framework.views import APIView

        class TheirView(APIView):
            needed = None

            def __init__(self, needed):
                raise AssertionError("the project's own view was looked at")

        own = path("api/similar-images/", include("similar_images.api.urls"))
        prefix = settings.HOST.get("prefix", "")
        if "namespace" in settings.HOST:
            own = path("", include(([own], settings.HOST["namespace"])))
        urlpatterns = [
            path("similar-images/", include("similar_images.urls")),
            path(prefix, include([own])),
            path("theirs/", TheirView.as_view(needed=1)),
            re_path("^(?P<page>.*)$", lambda request, page: None),
        ]
    """,
    "theirs.py": """
        from rest_framework.authentication import BaseAuthentication
        from rest_framework.metadata import BaseMetadata
        from rest_framework.negotiation import BaseContentNegotiation
        from rest_framework.pagination import PageNumberPagination
        from rest_framework.parsers import BaseParser
        from rest_framework.renderers import BaseRenderer
        from rest_framework.response import Response

        class Header(BaseAuthentication):
            def authenticate(self, request):
                from django.contrib.auth.models import User

                if name := request.headers.get("X-User"):
                    return User.objects.get(username=name), None

        class Nonsense(BaseParser):
            media_type = "*/*"

            def parse(self, stream, media_type=None, parser_context=None):
                raise AssertionError("their parser")

        class Loud(BaseRenderer):
            media_type = "text/loud"
            format = "loud"

            def render(self, data, accepted_media_type=None, renderer_context=None):
                return b"LOUD"

        class Stubborn(BaseContentNegotiation):
            def select_parser(self, request, parsers):
                raise AssertionError("their negotiation")

            def select_renderer(self, request, renderers, format_suffix=None):
                raise AssertionError("their negotiation")

        class Metadata(BaseMetadata):
            def determine_metadata(self, request, view):
                return {"serializer": str(view.get_serializer())}

        class Pages(PageNumberPagination):
            page_size = 1

        def handle(error, context):
            return Response({"wrapped": True}, status=200)

        def hook(result, generator, request, public):
            return {"openapi": "theirs"}
    """,
    "shop/__init__.py": "",
    "shop/models.py": """
        import similar_images
        from django.db import models

        def visible(request):
            request.user.is_authenticated  # as many projects ask
            return Product.objects.filter(published=True)

        @similar_images.register("photo", visible=visible)
        class Product(models.Model):
            name = models.CharField(max_length=50)
            photo = models.ImageField(upload_to="products/")
            published = models.BooleanField(default=True)

            def __str__(self):
                return self.name
    """,
    "fill.py": """
        import io
        import django
        django.setup()
        from django.contrib.auth.models import User
        from django.core.files.base import ContentFile
        from django.core.management import call_command
        from PIL import Image
        from shop.models import Product

        call_command("makemigrations", "shop", verbosity=0)
        call_command("migrate", verbosity=0)
        User.objects.create_superuser("admin")
        for name in ("red", "orange", "blue", "hidden"):
            file = io.BytesIO()
            Image.new("RGB", (40, 40), "red" if name == "hidden" else name).save(file, "PNG")
            photo = ContentFile(file.getvalue(), name=f"{name}.png")
            Product.objects.create(name=name, photo=photo, published=name != "hidden")
        call_command("index_images", sync=True, verbosity=0)
    """,
    "ask.py": """
        import json
        import re
        import sys
        import django
        django.setup()
        from django.conf import settings
        from django.core.files.uploadedfile import SimpleUploadedFile
        from django.test import Client

        client = Client(raise_request_exception=True)
        base = settings.HOST.get("base", "/api/similar-images")
        query = settings.HOST.get("query", "")
        headers = settings.HOST.get("headers", {})
        one = f"{base}/shop.product/1"

        client_host = headers.get("host", "testserver")
        raw = {}

        def upload():
            return SimpleUploadedFile("x.png", open("media/products/red.png", "rb").read())

        def answer(method, path, data=None, accept=None, **options):
            joint = "&" if "?" in path else "?"
            address = f"{path}{joint}{query}" if query else path
            options["headers"] = {**headers, "accept": accept} if accept else headers
            answer = getattr(client, method)(address, data, **options)
            raw[path] = answer
            content = b"" if answer.headers["Content-Type"] == "image/png" else answer.content
            body = content.decode().replace(base, "/api/similar-images")
            body = re.sub(r'"seconds":[0-9.e-]+', '"seconds":0', body)
            body = body.replace(f"{query}&cursor", "cursor").replace(f"&{query}&", "&") if query else body
            body = re.sub(r"cursor=[A-Za-z0-9_:%-]+", "cursor=", body)
            body = re.sub(r"/compare/[a-zA-Z0-9_-]{20,}/", "/compare/token/", body)
            return [answer.status_code, answer.headers["Content-Type"], answer.headers.get("Allow"), body]

        answers = {
            "similar": answer("get", f"{one}/similar/"),
            "limit": answer("get", f"{one}/similar/?limit=1&explain=1&why_not=3"),
            "as a browser": answer("get", f"{one}/similar/", accept="text/html"),
            "bad": answer("get", f"{one}/similar/?limit=0"),
            "unknown": answer("get", f"{one}/similar/?limt=3"),
            "page": answer("get", f"{one}/similar/?page=2"),
            "hidden": answer("get", f"{base}/shop.product/4/similar/"),
            "search": answer("post", f"{base}/search/", {"image": upload()}),
            "no image": answer("post", f"{base}/search/", {}),
            "json": answer("post", f"{base}/search/", "{}", content_type="application/json"),
            "compare": answer("post", f"{base}/compare/", {"a": upload(), "b": "shop.product:2", "measures": "ssim"}),
            "status": answer("get", f"{base}/status/"),
            "not allowed": answer("delete", f"{base}/status/"),
            "options": answer("options", f"{base}/status/"),
            "schema": answer("get", f"{base}/schema/"),
            "mark by nobody": answer("post", f"{one}/mark/", '{"other": 2}', content_type="application/json")[3][-60:],
        }
        for picture in raw[f"{base}/compare/"].json().get("pictures", [])[:1]:
            answers["picture"] = answer("get", picture["url"].partition(client_host)[2])[:2]
        print(json.dumps(answers))
    """,
}


@contextmanager
def host_project(folder: Path) -> Iterator[Any]:
    """Make the project, with four products; yield a function that returns its answers under settings."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))
    name = f"{connection.settings_dict['NAME']}_host"
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parents[2])]),
        "HOST_DATABASE_URL": os.environ["DATABASE_URL"].replace("/postgres?", f"/{name}?"),
    }

    def run(script: str, **settings: Any) -> str:
        done = subprocess.run(
            [sys.executable, script],
            cwd=folder,
            env={**environment, "HOST_SETTINGS": json.dumps(settings)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    try:
        run("fill.py")
        yield lambda **settings: json.loads(run("ask.py", **settings))
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
