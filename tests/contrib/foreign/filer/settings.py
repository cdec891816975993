"""A site for django-filer's tests, with the app where WITH_APP says so."""

import os

import dj_database_url
from celery import Celery

INSTALLED_APPS = [
    *(["similar_images.contrib.djangocms", "similar_images"] if os.environ["WITH_APP"] else []),
    "cms",
    "menus",
    "sekizai",
    "treebeard",
    "polymorphic",
    "filer",
    "easy_thumbnails",
    "tests.utils.extended_app",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.sites",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
SECRET_KEY = "test"
USE_TZ = False
SITE_ID = 1
ROOT_URLCONF = "tests.urls"
MEDIA_ROOT = os.path.join(os.environ["MEDIA"], "media")
FILE_UPLOAD_TEMP_DIR = os.path.join(os.environ["MEDIA"], "temp")
os.makedirs(FILE_UPLOAD_TEMP_DIR, exist_ok=True)
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
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
FILER_CANONICAL_URL = "test-path/"
CMS_CONFIRM_VERSION4 = True
CMS_TEMPLATES = [("page.html", "Page")]
THUMBNAIL_PROCESSORS = (
    "easy_thumbnails.processors.colorspace",
    "easy_thumbnails.processors.autocrop",
    "filer.thumbnail_processors.scale_and_crop_with_subject_location",
    "easy_thumbnails.processors.filters",
)
SIMILAR_IMAGES = {"METHODS": {"embedding": {}}, "RANKING": {"embedding": 1}}
Celery("tests", broker="memory://").set_default()
