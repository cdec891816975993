"""The request of an anonymous visitor, by which `visible` is asked where no visitor is at hand."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from django.utils.translation import get_language


def make_anonymous_request() -> HttpRequest:
    """Return a GET request of the site's front page by a visitor who is not logged in and has an empty session.

    It has what Django's own middleware gives a request: a host that ALLOWED_HOSTS accepts, `session`, `user`, `site`,
    and a language. Nothing is read from the database before a rule asks for it.
    """
    from django.contrib.auth.models import AnonymousUser

    request: Any = HttpRequest()
    request.method = "GET"
    request.path = request.path_info = "/"
    scheme = "https" if settings.SECURE_SSL_REDIRECT else "http"
    request.META = {
        "HTTP_HOST": _default_host(),
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "SERVER_NAME": _default_host(),
        "SERVER_PORT": "443" if scheme == "https" else "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": scheme,
    }
    request.user = AnonymousUser()
    request.session = SimpleLazyObject(lambda: import_module(settings.SESSION_ENGINE).SessionStore())
    request.site = SimpleLazyObject(lambda: _current_site(request))
    request.LANGUAGE_CODE = get_language() or settings.LANGUAGE_CODE
    return request  # type: ignore[no-any-return]


def _default_host() -> str:
    """Return a host that Django accepts: the first of ALLOWED_HOSTS that names one."""
    hosts = (host.removeprefix(".") for host in settings.ALLOWED_HOSTS)
    return next((host for host in hosts if host and "*" not in host), "localhost")


def _current_site(request: HttpRequest) -> Any:
    from django.contrib.sites.shortcuts import get_current_site

    return get_current_site(request)
