"""A site with django CMS and django-filer, whose image model is its own where CMS_IMAGE_MODEL says so."""

import os

from tests.contrib.site_settings import *  # noqa: F403 - what all sites share
from tests.contrib.site_settings import DJANGO_APPS, MEDIA_ROOT, MIDDLEWARE, make_templates

IMAGE_MODEL = os.environ.get("CMS_IMAGE_MODEL", "filer.Image")
PUBLIC, PRIVATE = (os.path.join(MEDIA_ROOT, name) for name in ("public", "private"))

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
    "django.contrib.sites",
    *DJANGO_APPS,
]
MIDDLEWARE = [
    *MIDDLEWARE,
    "django.middleware.locale.LocaleMiddleware",
    "cms.middleware.user.CurrentUserMiddleware",
    "cms.middleware.page.CurrentPageMiddleware",
    "cms.middleware.toolbar.ToolbarMiddleware",
    "cms.middleware.language.LanguageCookieMiddleware",
]
TEMPLATES = make_templates(
    "django.template.context_processors.i18n",
    "sekizai.context_processors.sekizai",
    "cms.context_processors.cms_settings",
)

MEDIA_ROOT = PUBLIC
ROOT_URLCONF = "tests.contrib.djangocms.urls"
SITE_ID = 1
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
X_FRAME_OPTIONS = "SAMEORIGIN"
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
