"""Keep files of visitors' requests for ten minutes, within budgets of bytes: uploads, and drawings of comparisons.

They are in a Django cache, with a ledger beside them of who keeps how much, which is changed under a lock. Where there
is no room, the oldest files make it: first those of the same visitor, then any. The same content is one entry.

An upload is used again by a signed token. Whoever has the token of an anonymous visitor may use it: to tell anonymous
visitors apart would take a cookie, for which many sites must ask, and which keeps pages out of caches. That of a user
works for this user alone.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic, sleep, time
from typing import NamedTuple

from django.conf import settings
from django.core import signing
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from . import access, conf, permissions
from .imaging.files import sha256_of

LIFETIME = 600
"""Seconds for which a file is kept."""

MAX_ENTRIES = 1_000
"""Entries of the ledger, at most."""

MAX_NAME_LENGTH = 100
"""Characters of an upload's file name that its token holds."""

LEDGER_KEY, LOCK_KEY = "similar_images:files:ledger", "similar_images:files:lock"

LOCK_LIFETIME, MAX_LOCK_WAIT = 5, 2
"""Seconds after which a lock that nobody gave back is void, and for which a request waits for it."""

UPLOAD_SALT = "similar_images.visitor_files"

ObjectFile = tuple[str, str]
"""The key of an object's image, as `ImageSource.format_key` gives it, and the name of its file."""

logger = logging.getLogger(__name__)


class VisitorFile(NamedTuple):
    """The bytes of a file, and the objects whose images it shows."""

    data: bytes
    object_files: tuple[ObjectFile, ...] = ()


class LedgerEntry(NamedTuple):
    """An entry of the ledger: whose it is, its bytes, the names of its files, and when they expire."""

    visitor: str
    size: int
    names: tuple[str, ...]
    expires: float


def is_shared() -> bool:
    """Check that the processes of a server share the files."""
    return not isinstance(_get_cache(), (DummyCache, LocMemCache))


def is_reusable() -> bool:
    """Check that the request after an upload finds it: the development server is one process."""
    return is_shared() or settings.DEBUG


def entry_id(*parts: object) -> str:
    """Return the id of the entry with some content, which nobody can guess who does not have the content."""
    return salted_hmac(UPLOAD_SALT, json.dumps(parts), algorithm="sha256").hexdigest()


def keep_files(entry: str, files: Mapping[str, VisitorFile], request: HttpRequest) -> list[str]:
    """Keep the files of an entry in place of those it had; return the names of those that are kept.

    Files are left out from the one on that the budget of a visitor does not hold, and all of them where the cache does
    not work.
    """
    budget = min(conf.get().compare_cache_visitor_bytes, conf.get().compare_cache_max_bytes)
    fitting, size = {}, 0
    for name, file in files.items():
        if size + len(file.data) > budget:
            break
        fitting[name], size = file, size + len(file.data)
    try:
        cache = _get_cache()
        visitor = salted_hmac(UPLOAD_SALT, access.identify_visitor(request)).hexdigest()
        if not fitting or not _reserve(cache, entry, LedgerEntry(visitor, size, tuple(fitting), time() + LIFETIME)):
            return []
        cache.set_many({_file_key(entry, name): tuple(file) for name, file in fitting.items()}, LIFETIME)
        if entry not in _read_ledger(cache):  # it had to make room meanwhile
            cache.delete_many([_file_key(entry, name) for name in fitting])
        return [name for name in fitting if cache.has_key(_file_key(entry, name))]
    except Exception:  # cache clients raise errors of their own when their server is down
        logger.exception("Files of a visitor could not be cached.")
        return []


def fetch_file(entry: str, name: str) -> VisitorFile | None:
    """Return a file that is kept; None where it is not, or the cache is down."""
    try:
        found = _get_cache().get(_file_key(entry, name))
    except Exception:  # cache clients raise errors of their own when their server is down
        logger.exception("Files of a visitor could not be read from the cache.")
        return None
    return VisitorFile(*found) if found else None


def keep_upload(upload: UploadedFile[bytes], request: HttpRequest) -> str:
    """Keep an upload; return the token by which it can be used again, empty where it could not be kept."""
    upload.seek(0)
    data = upload.read()
    upload.seek(0)
    entry = entry_id("upload", sha256_of(data))
    if not keep_files(entry, {"upload": VisitorFile(data)}, request):
        return ""
    return signing.dumps([entry, str(upload.name or "")[-MAX_NAME_LENGTH:], _user_key(request)], salt=UPLOAD_SALT)


def load_upload(token: str, request: HttpRequest | None) -> SimpleUploadedFile | None:
    """Return the upload of a token; None where it is not kept any more, or the token is another user's."""
    own_key = _user_key(request)  # asked for every token, so that the answer to that of another user is no different
    try:
        entry, name, user = signing.loads(token, salt=UPLOAD_SALT, max_age=LIFETIME)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    if user and user != own_key:
        return None
    file = fetch_file(entry, "upload")
    return SimpleUploadedFile(name or "upload", file.data) if file else None


def _user_key(request: HttpRequest | None) -> str:
    """Return the key of the user, empty for an anonymous visitor."""
    return str(request.user.pk) if request is not None and permissions.is_authenticated(request) else ""


def _reserve(cache: BaseCache, entry: str, wanted: LedgerEntry) -> bool:
    """Write an entry into the ledger, and delete the files that make room for it; False where there was no time."""
    with _lock_ledger(cache) as is_locked:
        if not is_locked:
            return False
        ledger = _read_ledger(cache)
        former = ledger.pop(entry, None)
        discarded = [(entry, name) for name in former.names if name not in wanted.names] if former else []
        for other in _entries_in_the_way(ledger, wanted):
            discarded += [(other, name) for name in ledger.pop(other).names]
        ledger[entry] = wanted
        cache.set(LEDGER_KEY, {key: tuple(value) for key, value in ledger.items()}, 2 * LIFETIME)
        if discarded:
            cache.delete_many([_file_key(*each) for each in discarded])
    return True


def _entries_in_the_way(ledger: Mapping[str, LedgerEntry], wanted: LedgerEntry) -> list[str]:
    """Return the entries that have to go for another one, the oldest of its visitor before the oldest of all."""
    own = {key: entry for key, entry in ledger.items() if entry.visitor == wanted.visitor}
    gone = _oldest_beyond(own, conf.get().compare_cache_visitor_bytes - wanted.size, MAX_ENTRIES)
    left = {key: entry for key, entry in ledger.items() if key not in gone}
    return gone + _oldest_beyond(left, conf.get().compare_cache_max_bytes - wanted.size, MAX_ENTRIES - 1)


def _oldest_beyond(entries: Mapping[str, LedgerEntry], max_bytes: int, max_count: int) -> list[str]:
    """Return the oldest entries, without which the others hold no more than so many bytes and are so many at most."""
    size, count, gone = sum(entry.size for entry in entries.values()), len(entries), []
    for key, entry in sorted(entries.items(), key=lambda item: item[1].expires):
        if size <= max_bytes and count <= max_count:
            break
        gone.append(key)
        size, count = size - entry.size, count - 1
    return gone


def _read_ledger(cache: BaseCache) -> dict[str, LedgerEntry]:
    """Return the entries that have not expired."""
    entries = {key: LedgerEntry(*value) for key, value in (cache.get(LEDGER_KEY) or {}).items()}
    return {key: entry for key, entry in entries.items() if entry.expires > time()}


@contextmanager
def _lock_ledger(cache: BaseCache) -> Iterator[bool]:
    """Hold the lock of the ledger; yield whether it was got in time."""
    owner, end = secrets.token_hex(8), monotonic() + MAX_LOCK_WAIT
    while not cache.add(LOCK_KEY, owner, LOCK_LIFETIME):
        if monotonic() >= end:
            logger.warning("The ledger of visitors' files is locked: a file is not kept.")
            yield False
            return
        sleep(0.01)
    try:
        yield True
    finally:
        if cache.get(LOCK_KEY) == owner:
            cache.delete(LOCK_KEY)


def _get_cache() -> BaseCache:
    return caches[conf.get().compare_cache]


def _file_key(entry: str, name: str) -> str:
    return f"similar_images:files:{sha256_of(f'{entry}/{name}'.encode())}"  # a key's length and letters are bounded
