"""A site with django CMS and django-filer, whose image model is its own where CMS_IMAGE_MODEL says so."""

import os

import dj_database_url

IMAGE_MODEL = os.environ.get("CMS_IMAGE_MODEL", "filer.Image")
PUBLIC, PRIVATE = (os.path.join(os.environ.get("CMS_MEDIA", "media"), name) for name in ("public", "private"))

INSTALLED_APPS = [
    "similar_images.contrib.djangocms",
    "similar_images",
    "tests.contrib.djangocms",
    "cms",
    "menus",
    "sekizai",
    "treebeard",
    "filer",
    "easy_thumbnails",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.sites",
    "django.contrib.staticfiles",
    "rest_framework",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "cms.middleware.user.CurrentUserMiddleware",
    "cms.middleware.page.CurrentPageMiddleware",
    "cms.middleware.toolbar.ToolbarMiddleware",
    "cms.middleware.language.LanguageCookieMiddleware",
]

DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
_name = f"cms_{IMAGE_MODEL.replace('.', '_').lower()}"
DATABASES["default"]["TEST"] = {"NAME": f"test_{_name}_{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "test"
USE_TZ = True
MEDIA_ROOT = PUBLIC
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
ROOT_URLCONF = "tests.contrib.djangocms.urls"
SITE_ID = 1
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
X_FRAME_OPTIONS = "SAMEORIGIN"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "sekizai.context_processors.sekizai",
                "cms.context_processors.cms_settings",
            ]
        },
    }
]
CMS_CONFIRM_VERSION4 = True
CMS_TEMPLATES = [("site/page.html", "Page")]
FILER_IMAGE_MODEL = IMAGE_MODEL
FILER_ENABLE_PERMISSIONS = True
FILER_STORAGES = {
    "private": {
        "main": {
            "ENGINE": "filer.storage.PrivateFileSystemStorage",
            "OPTIONS": {"location": f"{PRIVATE}/files", "base_url": "/smedia/files/"},
        },
        "thumbnails": {
            "ENGINE": "filer.storage.PrivateFileSystemStorage",
            "OPTIONS": {"location": f"{PRIVATE}/thumbnails", "base_url": "/smedia/thumbnails/"},
        },
    }
}
SIMILAR_IMAGES = {"METHODS": {"embedding": {}}, "RANKING": {"embedding": 1}, "MIN_SIMILARITY": 0}
