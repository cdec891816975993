"""The site of Wagtail's own tests on PostgreSQL, with the app where WITH_APP says so."""

import os

import dj_database_url
from celery import Celery
from wagtail.test.settings import *  # noqa: F403
from wagtail.test.settings import INSTALLED_APPS as WAGTAIL_APPS

APP = ["similar_images.contrib.wagtail", "similar_images"] if os.environ["WITH_APP"] else []
INSTALLED_APPS = [*APP, *WAGTAIL_APPS, "django.contrib.postgres"]
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
MEDIA_ROOT = os.environ["MEDIA"]
STATIC_ROOT = os.path.join(os.environ["MEDIA"], "static")
SIMILAR_IMAGES = {"METHODS": {"embedding": {}}, "RANKING": {"embedding": 1}}
Celery("tests", broker="memory://").set_default()
