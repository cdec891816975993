"""What the settings of all sites with a content management system share; DATABASE_URL names the server."""

import os
from typing import Any

import dj_database_url

DJANGO_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]


def make_templates(*processors: str, **options: Any) -> list[dict[str, Any]]:
    """Return the setting TEMPLATES, with further context processors."""
    common = [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]
    backend = "django.template.backends.django.DjangoTemplates"
    return [
        {"BACKEND": backend, "APP_DIRS": True, "OPTIONS": {"context_processors": [*common, *processors]}, **options}
    ]


TEMPLATES = make_templates()
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
DATABASES["default"]["TEST"] = {"NAME": os.environ.get("SITE_DATABASE", "test_site")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "test"
USE_TZ = True
MEDIA_ROOT = os.environ.get("SITE_MEDIA", "media")
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_BROKER_URL = "memory://"
SIMILAR_IMAGES = {"METHODS": {"embedding": {}}, "RANKING": {"embedding": 1}, "MIN_SIMILARITY": 0}
