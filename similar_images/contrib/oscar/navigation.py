"""Entries of the dashboard's navigation, for OSCAR_DASHBOARD_NAVIGATION: pages about all images, in Django's admin.

Settings import this module, so it imports no models.
"""

from __future__ import annotations

from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _


def may_open(user: Any, url_name: str, url_args: Any = None, url_kwargs: Any = None) -> bool:
    """Check that a user may open one of the pages, and that the site has Django's admin."""
    from django.apps import apps
    from django.contrib import admin

    from ...sources.anonymous import make_anonymous_request

    model = apps.get_model("similar_images", url_name.split("_")[-2])
    request = make_anonymous_request()
    request.user = user
    try:
        reverse(url_name)
    except NoReverseMatch:
        return False
    if not (admin.site.is_registered(model) and admin.site.has_permission(request)):
        return False
    return bool(admin.site.get_model_admin(model).has_view_permission(request))


NAVIGATION: dict[str, Any] = {
    "label": _("Similar images"),
    "icon": "fas fa-images",
    "children": [
        {
            "label": _("Duplicates"),
            "url_name": "admin:similar_images_duplicates_changelist",
            "access_fn": may_open,
        },
        {
            "label": _("Health of the index"),
            "url_name": "admin:similar_images_health_changelist",
            "access_fn": may_open,
        },
    ],
}
"""A menu of the dashboard, with what the user may open; nothing where that is nothing."""
