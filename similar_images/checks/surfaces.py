"""Surfaces: addresses, titles, links and thumbnails of matches, and the pages of the admin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve, reverse

from .. import registry
from ..sources.source import ImageSource, resolve_callable
from .command import is_check_command

ADDRESSES: tuple[tuple[str, list[str]], ...] = (
    ("similar_images:similar", ["app.model", "1"]),
    ("similar_images:widget", ["token"]),
    ("similar_images_api:status", []),
    ("similar_images_api:similar", ["app.model", "1"]),
)
"""Names of the app's views, with arguments, whose addresses must lead to them."""


def check_urls(**kwargs: Any) -> list[CheckMessage]:
    """Report that the addresses of the app are taken by another view, such as the catch-all of a CMS."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    taken: dict[str, tuple[str, str]] = {}
    for name, arguments in ADDRESSES:
        try:
            address = reverse(name, args=arguments)
            match = resolve(f"/{address.removeprefix(get_script_prefix())}")
        except (NoReverseMatch, Resolver404):  # not among the project's addresses, which is its choice
            continue
        if name not in match.view_name:
            taken.setdefault(name.partition(":")[0], (address, match.view_name or match._func_path))
    return [
        Error(
            f"{address} is answered by {view}, so what similar_images has there is never shown.",
            hint=f'In ROOT_URLCONF, move the line that includes "{module}" before the one that takes every address.',
            id="similar_images.E021",
        )
        for namespace, (address, view) in taken.items()
        for module in [namespace.replace("similar_images_api", "similar_images.api") + ".urls"]
    ]


def check_presentation(**kwargs: Any) -> list[CheckMessage]:
    """Check that the dotted paths given to `register()` lead somewhere; advise on thumbnails and links."""
    messages: list[CheckMessage] = []
    for source in registry.get_sources():
        for option in ("visible", "title", "url", "thumbnail", "serializer", "filters", "policy"):
            path = getattr(source, option)
            try:
                resolve_callable(path)
            except ImportError as error:
                problem = f"{source.label}: {option}={path!r} can't be imported: {error}"
                messages.append(Error(problem, hint="Correct the path.", id="similar_images.E012"))
    if is_check_command():
        messages += _advise_on_presentation(registry.get_sources())
    return messages


def _advise_on_presentation(sources: Sequence[ImageSource]) -> Iterator[CheckMessage]:
    bare = [source for source in sources if source.thumbnail is None]
    if bare:
        yield checks.Info(
            f"Lists of similar items show original files, however large they are: {_name_all(bare)}.",
            hint=f"Name a thumbnailer: similar_images.register({bare[0].model.__name__}, "
            f'"{bare[0].field_name}", thumbnail="similar_images.thumbnails.easy_thumbnails"), or another that the app '
            "has for the libraries of thumbnails.",
            id="similar_images.I003",
        )
    without_links = [source for source in sources if source.url is None and _models_without_url(source)]
    if without_links:
        models = {model.__name__: None for source in without_links for model in _models_without_url(source)}
        yield checks.Info(
            f"Similar items are not links: {_name_all(without_links)}.",
            hint=f"Give {', '.join(models)} a get_absolute_url(), or register the field with url=lambda item: ….",
            id="similar_images.I004",
        )


def _models_without_url(source: ImageSource) -> list[Any]:
    """Return the models of what comes back that say no address."""
    models = source.ownership.owner_models if source.ownership else [source.model]
    return [model for model in models if not hasattr(model, "get_absolute_url")]


def _name_all(sources: Sequence[ImageSource]) -> str:
    return ", ".join(source.label for source in sources)


def check_inlines(**kwargs: Any) -> list[CheckMessage]:
    """Check that the page of an inline with the mixin has it, too: it answers what the inline's scripts ask."""
    if not apps.is_installed("django.contrib.admin"):
        return []
    from django.contrib.admin.sites import all_sites

    pages = [page for site in all_sites for page in site._registry.values() if not _has_upload_notice(page)]
    silent = [(page, inline) for page in pages for inline in page.inlines if _has_upload_notice(inline)]
    return [
        checks.Warning(
            f"Files that are chosen in {inline.__name__} are not looked up before they are saved.",
            hint=f"Mix SimilarImagesMixin into {type(page).__name__}, too, which has the inline.",
            obj=inline,
            id="similar_images.W010",
        )
        for page, inline in silent
        if any(registry.get_sources_for_model(inline.model))
    ]


def _has_upload_notice(admin: Any) -> bool:
    """Tell whether an admin, or an inline, has the mixin, which can't be imported before the admin is ready."""
    return hasattr(admin, "similar_images_notice_template")
