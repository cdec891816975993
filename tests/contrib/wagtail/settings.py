"""A site with Wagtail, whose image model is its own where WAGTAIL_IMAGE_MODEL says so."""

import os

import dj_database_url

IMAGE_MODEL = os.environ.get("WAGTAIL_IMAGE_MODEL", "wagtailimages.Image")

INSTALLED_APPS = [
    "similar_images.contrib.wagtail",
    "similar_images",
    "tests.contrib.wagtail",
    "wagtail.embeds",
    "wagtail.sites",
    "wagtail.users",
    "wagtail.snippets",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail.api.v2",
    "wagtail",
    "modelcluster",
    "taggit",
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
# Their tables are made of the models: migrating takes longer than all tests.
LABELS = ("auth", "contenttypes", "sessions", "taggit", "site")
WAGTAIL_LABELS = ("core", "admin", "docs", "embeds", "images", "search", "sites", "users", "snippets")
MIGRATION_MODULES = dict.fromkeys([*LABELS, *(f"wagtail{label}" for label in WAGTAIL_LABELS)])

DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
_name = IMAGE_MODEL.replace(".", "_").lower()
DATABASES["default"]["TEST"] = {"NAME": f"test_{_name}_{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "test"
USE_TZ = True
MEDIA_ROOT = os.environ.get("WAGTAIL_MEDIA", "media")
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
ROOT_URLCONF = "tests.contrib.wagtail.urls"
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
WAGTAIL_SITE_NAME = "Site"
WAGTAILADMIN_BASE_URL = "https://site.example"
WAGTAILIMAGES_IMAGE_MODEL = IMAGE_MODEL
SIMILAR_IMAGES = {"METHODS": {"embedding": {}}, "RANKING": {"embedding": 1}, "MIN_SIMILARITY": 0}
