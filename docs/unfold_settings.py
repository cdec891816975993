"""Settings of the demo with its admin in django-unfold, as the guide has it; for its screenshot."""

from project.settings import *  # noqa: F403 - how Django extends a settings module
from project.settings import INSTALLED_APPS as SHOP_APPS

INSTALLED_APPS = ["unfold", *SHOP_APPS]
