"""Candidates proven: the two pictures are read and compared."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from threading import Lock

from django.utils.translation import gettext as _

from .. import conf, images
from ..measures import verdict
from ..measures.base import LONG_SIDE, View
from ..threads import in_threads
from .candidates import Pair
from .collection import Collection, Picture, Twins
from .memory import Memory

VIEWS = 128
"""Pictures that are held in memory, each some 2 MB with what comparing made of it."""


@dataclass(frozen=True)
class Finding:
    """What two pictures are to each other, in words.

    `similarities`: in percent, by the methods that put the pair forward; of the same file there are none.
    """

    a: Picture
    b: Picture
    kind: verdict.Kind
    text: str
    similarities: Mapping[str, float]

    @property
    def similarity(self) -> float:
        """By the method that finds them likest, in percent with one decimal."""
        return round(max(self.similarities.values(), default=100.0), 1)

    @property
    def is_copy(self) -> bool:
        return self.kind in ("same-file", "same-picture")


class Views:
    """The pictures that were looked at last; any thread may ask."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._views: OrderedDict[str, View] = OrderedDict()

    def of(self, picture: Picture) -> View:
        """Read a picture, or take the one that is here.

        Raises:
            UnreadableImage: the file is not the one any more that was described.
        """
        with self._lock:
            if picture.sha256 in self._views:
                self._views.move_to_end(picture.sha256)
                return self._views[picture.sha256]
        data = picture.read()
        if images.digest(data) != picture.sha256:
            raise images.UnreadableImage(_("The file was changed meanwhile."))
        view = View.of_file(data, max_pixels=conf.get().max_pixels, long_side=LONG_SIDE)
        with self._lock:
            self._views[picture.sha256] = view
            while len(self._views) > VIEWS:
                self._views.popitem(last=False)
        return view


def prove(
    collection: Collection, pairs: Mapping[Pair, Mapping[str, float]], memory: Memory, jobs: int
) -> Iterator[Finding | str]:
    """What the pictures of each pair are to each other, where memory does not hold it; or why that can't be said."""
    views = Views()

    def work(pair: Pair) -> Finding | str:
        a, b = (collection.pictures[place] for place in pair)
        said = memory.verdict(a.sha256, b.sha256)
        if said is None:
            try:
                seen = [_described(collection, place, views.of(collection.pictures[place])) for place in pair]
                found = verdict.judge(*seen)
            except images.INTERRUPTIONS:
                raise
            except Exception as error:  # whatever one pair brings takes nothing from the others
                return f"{a.name}, {b.name}: {error}"
            said = {"kind": found.kind, "text": found.text}
            memory.keep_verdict(a.sha256, b.sha256, said)
        return Finding(a, b, said["kind"], said["text"], pairs[pair])

    return in_threads(work, pairs, jobs)


def _described(collection: Collection, place: int, view: View) -> View:
    """The view, knowing what methods saw in the whole picture: a verdict may ask for it."""
    for look in collection.looks.values():
        if len(look.orientations) == 1 and look.seen[place]:
            view.once(look.method, partial(look.upright, place))
    return view


def same_files(twins: Iterable[Twins]) -> Iterator[Finding]:
    """What twins are to each other."""
    same = verdict.Verdict("same-file")
    return (Finding(a, b, "same-file", same.text, {}) for a, b in twins)


def linked(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings that have a picture in common, directly or by others, together: those of most findings first."""
    findings = list(findings)
    leader: dict[str, str] = {}

    def led(name: str) -> str:
        while (other := leader.setdefault(name, name)) != name:
            leader[name] = name = leader[other]
        return name

    for finding in findings:
        leader[led(finding.b.name)] = led(finding.a.name)
    together: dict[str, list[Finding]] = {}
    for finding in findings:
        together.setdefault(led(finding.a.name), []).append(finding)
    groups = [sorted(group, key=lambda finding: -finding.similarity) for group in together.values()]
    return sorted(groups, key=lambda group: (-len(group), -group[0].similarity))


def groups(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings of copies of one picture together, and those that are no copies each by itself.

    Pictures with most copies come first, then the likest pairs.
    """
    findings = list(findings)
    single = [[finding] for finding in findings if not finding.is_copy]
    copies = linked(finding for finding in findings if finding.is_copy)
    return [*copies, *sorted(single, key=lambda group: -group[0].similarity)]
