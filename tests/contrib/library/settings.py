"""A site with the home-made CMS."""

import os

import dj_database_url

INSTALLED_APPS = [
    "tests.contrib.library",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "similar_images",
    "rest_framework",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
MIGRATION_MODULES = dict.fromkeys(["auth", "contenttypes", "sessions"])
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
DATABASES["default"]["TEST"] = {"NAME": f"test_library_{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "test"
USE_TZ = True
MEDIA_ROOT = os.environ.get("LIBRARY_MEDIA", "media")
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
ROOT_URLCONF = "tests.contrib.library.urls"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
CELERY_BROKER_URL = "memory://"
SIMILAR_IMAGES = {"METHODS": {"embedding": {}}, "RANKING": {"embedding": 1}, "MIN_SIMILARITY": 0}
