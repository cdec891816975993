"""Verdicts that are kept, so that a later search for duplicates compares only what is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..models import PairVerdict, Source, write_alias
from ..sources.source import ImageSource

VERDICT_VERSION = 1
"""Rises with each change of how pairs are compared: verdicts of another version are not used."""

CHUNK = 1_000
"""Verdicts that are read, or written, at a time."""

StoredVerdict = dict[str, Any]
"""The result of a comparison as JSON takes it: the fields of a VerifiedPair, and VERDICT_VERSION."""


class VerdictStore(Protocol):
    """Verdicts by the SHA-256 of the two files, the first and the second image."""

    def get_verdicts(self, pairs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Any]:
        """Return what is kept of these pairs."""

    def save_verdict(self, a: str, b: str, verdict: StoredVerdict) -> None:
        """Keep a verdict."""


class SourceVerdicts:
    """The verdicts on pairs of a source, in the database.

    They are written CHUNK at a time; call `close` in the end.
    """

    def __init__(self, source: ImageSource) -> None:
        """Take a source."""
        self._source_id = Source.objects.get_id(source)
        self._unsaved: list[PairVerdict] = []
        self._used: set[tuple[str, str]] = set()
        self._verdicts = PairVerdict.objects.using(write_alias())

    def get_verdicts(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Any]:
        """Return what is kept of these pairs."""
        self._used.update(pairs)
        found: dict[tuple[str, str], Any] = {}
        for start in range(0, len(pairs), CHUNK):
            chunk = set(pairs[start : start + CHUNK])
            rows = self._of_source().filter(first__in={a for a, _b in chunk}).values_list("first", "second", "verdict")
            found |= {(a, b): verdict for a, b, verdict in rows if (a, b) in chunk}
        return found

    def save_verdict(self, a: str, b: str, verdict: StoredVerdict) -> None:
        """Keep a verdict, in place of a former one."""
        self._unsaved.append(PairVerdict(source_id=self._source_id, first=a, second=b, verdict=verdict))
        if len(self._unsaved) >= CHUNK:
            self.close()

    def close(self) -> None:
        """Write what is not written yet."""
        rows, self._unsaved = self._unsaved, []
        self._verdicts.bulk_create(
            rows, update_conflicts=True, unique_fields=["source", "first", "second"], update_fields=["verdict"]
        )

    def forget_unused(self) -> None:
        """Delete the verdicts on pairs that were not asked for: their files are gone, or no longer near each other."""
        rows = self._of_source().values_list("pk", "first", "second").iterator(chunk_size=CHUNK)
        unused = [pk for pk, first, second in rows if (first, second) not in self._used]
        for start in range(0, len(unused), CHUNK):
            self._verdicts.filter(pk__in=unused[start : start + CHUNK]).delete()

    def _of_source(self) -> Any:
        return self._verdicts.filter(source_id=self._source_id)
