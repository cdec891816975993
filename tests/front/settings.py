"""A host with README's settings alone, a strict content policy on every page, and right-to-left by a parameter."""

import os
from pathlib import Path

import dj_database_url

FOLDER = Path(os.environ["FRONT_FOLDER"])

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "easy_thumbnails",
    "rest_framework",
    "similar_images",
    "tests.front",
]
LANGUAGES = [("en", "English"), ("de", "German"), ("fr", "French")]
MIDDLEWARE = [
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "tests.front.views.set_policy",
]
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
DATABASES["default"]["TEST"] = {"NAME": f"test_front_{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "test"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
MEDIA_ROOT = FOLDER / "media"
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
ROOT_URLCONF = "tests.front.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
CELERY_BROKER_URL = "memory://"
REST_FRAMEWORK = {"UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser"}
SIMILAR_IMAGES = {"METHODS": {"color": {}}, "RANKING": {"color": 1}, "NEAR_DUPLICATE_THRESHOLD": 101}
