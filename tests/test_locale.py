"""The shipped catalogs: every message is translated, with the same placeholders, and compiled."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

import django
import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

import similar_images

LOCALE = Path(similar_images.__file__).parent / "locale"
LANGUAGES = ("de", "es", "fr")
PLACEHOLDER = re.compile(r"%\(\w+\)[sdg]|%%|%[sd]")


def read_catalog(language: str) -> Catalog:
    with (LOCALE / language / "LC_MESSAGES" / "django.po").open("rb") as file:
        return read_po(file, locale=language)


def forms(text: object) -> tuple[str, ...]:
    return tuple(text) if isinstance(text, (tuple, list)) else (str(text),)


def test_locale__has_these_languages() -> None:
    assert sorted(folder.name for folder in LOCALE.iterdir()) == sorted(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalog__is_complete_and_keeps_placeholders(language: str) -> None:
    messages = [message for message in read_catalog(language) if message.id]
    assert len(messages) > 200
    for message in messages:
        assert not message.fuzzy, message.id
        assert all(forms(message.string)), message.id
        (singular, *_), last = forms(message.id), forms(message.id)[-1]
        for translated in forms(message.string)[-1:]:
            assert sorted(PLACEHOLDER.findall(translated)) == sorted(PLACEHOLDER.findall(last)), message.id
        for translated in forms(message.string):
            known = set(PLACEHOLDER.findall(singular)) | set(PLACEHOLDER.findall(last))
            assert set(PLACEHOLDER.findall(translated)) <= known, message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalog__is_compiled(language: str) -> None:
    with (LOCALE / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message in read_catalog(language):
        if not message.id:
            continue
        if isinstance(message.id, (tuple, list)):
            assert compiled.ngettext(*message.id, 1) == message.string[0]
            assert compiled.ngettext(*message.id, 2) == message.string[1]
        elif message.context:
            assert compiled.pgettext(message.context, message.id) == message.string
        else:
            assert compiled.gettext(message.id) == message.string


def test_typography__of_each_language() -> None:
    """German and Spanish write "97 %" with a space, French with a narrow one: a percent sign never touches a number."""
    for language in LANGUAGES:
        for message in read_catalog(language):
            for text in forms(message.string) if message.id else ():
                assert not re.search(r"\)[sd]%%|\}%|\)s%(?![(%])", text), (language, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalog__translates_messages_of_django_as_django_does(language: str) -> None:
    """Catalogs are merged: another word for "Search" would replace Django's own, also in the admin of other apps."""
    folders = [Path(django.__file__).parent / part for part in ("conf", "contrib/admin", "contrib/auth")]
    catalogs = [folder / "locale" / language / "LC_MESSAGES" / "django.mo" for folder in folders]
    shared = 0
    for file in catalogs:
        with file.open("rb") as opened:
            django_catalog = gettext.GNUTranslations(opened)
        for message in read_catalog(language):
            if isinstance(message.id, str) and message.id:
                theirs = django_catalog.gettext(message.id)
                shared += theirs != message.id
                assert theirs in (message.id, message.string), message.id
    assert shared
