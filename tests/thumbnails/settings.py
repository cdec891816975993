"""A host with one thumbnail library, named by THUMBNAIL_LIBRARY."""

import os

import dj_database_url

LIBRARY = os.environ["THUMBNAIL_LIBRARY"]
APPS = {
    "easy_thumbnails": ["easy_thumbnails"],
    "sorl_thumbnail": ["sorl.thumbnail"],
    "imagekit": ["imagekit"],
    "django_pictures": ["pictures"],
    "wagtail_renditions": [
        "wagtail.images",
        "wagtail.documents",
        "wagtail.search",
        "wagtail.users",
        "wagtail.sites",
        "wagtail.admin",
        "wagtail",
        "modelcluster",
        "taggit",
    ],
}

INSTALLED_APPS = [
    *APPS[LIBRARY],
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "similar_images",
    "tests.thumbnails",
]
# Their tables are made of the models: migrating takes longer than all tests.
LABELS = ("auth", "contenttypes", "easy_thumbnails", "taggit", "thumbnail")
WAGTAIL_LABELS = ("core", "admin", "docs", "images", "search", "sites", "users")
MIGRATION_MODULES = dict.fromkeys([*LABELS, *(f"wagtail{label}" for label in WAGTAIL_LABELS)])

DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
DATABASES["default"]["TEST"] = {"NAME": f"test_{LIBRARY}_{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "test"
USE_TZ = True
MEDIA_ROOT = os.environ["THUMBNAIL_MEDIA"]
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
ROOT_URLCONF = "tests.thumbnails.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
CELERY_BROKER_URL = "memory://"
WAGTAIL_SITE_NAME = "Host"
WAGTAILADMIN_BASE_URL = "https://host.example"
PICTURES = {"USE_PLACEHOLDERS": False, "FILE_TYPES": ["WEBP"], "PROCESSOR": "pictures.tasks._process_picture"}
SIMILAR_IMAGES = {
    "METHODS": {"tests.methods.Mean": {}},
    "RANKING": {"mean": 1},
    "NEAR_DUPLICATE_THRESHOLD": 101,
}
