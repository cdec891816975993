"""Candidates proven: the two pictures are read and compared."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from threading import Lock

from django.utils.translation import gettext as _

from .. import conf
from ..imaging import decode
from ..imaging.files import sha256_of
from ..imaging.threads import map_in_threads
from ..measures import verdict
from ..measures.base import LONG_SIDE, ComparisonImage
from .candidates import IndexPair
from .collection import ExactDuplicate, ImageCollection, ScannedImage
from .scan_cache import ScanCache

MAX_CACHED_IMAGES = 128
"""Pictures that are held in memory, each some 2 MB with what comparing made of it."""


@dataclass(frozen=True)
class VerifiedPair:
    """What two pictures are to each other, in words.

    `similarities`: in percent, by the methods that put the pair forward; of the same file there are none.
    """

    a: ScannedImage
    b: ScannedImage
    kind: verdict.VerdictKind
    text: str
    similarities: Mapping[str, float]

    @property
    def similarity(self) -> float:
        """By the method that finds them likest, in percent with one decimal."""
        return round(max(self.similarities.values(), default=100.0), 1)

    @property
    def is_copy(self) -> bool:
        return self.kind in ("same-file", "same-picture")


class ImageCache:
    """The pictures that were looked at last; any thread may ask."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._views: OrderedDict[str, ComparisonImage] = OrderedDict()

    def of(self, picture: ScannedImage) -> ComparisonImage:
        """Read a picture, or take the one that is here.

        Raises:
            UnreadableImage: the file is not the one any more that was described.
        """
        with self._lock:
            if picture.sha256 in self._views:
                self._views.move_to_end(picture.sha256)
                return self._views[picture.sha256]
        data = picture.read()
        if sha256_of(data) != picture.sha256:
            raise decode.UnreadableImage(_("The file was changed meanwhile."))
        view = ComparisonImage.from_file(data, max_pixels=conf.get().max_pixels, long_side=LONG_SIDE)
        with self._lock:
            self._views[picture.sha256] = view
            while len(self._views) > MAX_CACHED_IMAGES:
                self._views.popitem(last=False)
        return view


def verify_pairs(
    collection: ImageCollection, pairs: Mapping[IndexPair, Mapping[str, float]], memory: ScanCache, jobs: int
) -> Iterator[VerifiedPair | str]:
    """What the pictures of each pair are to each other, where memory does not hold it; or why that can't be said."""
    views = ImageCache()

    def work(pair: IndexPair) -> VerifiedPair | str:
        a, b = (collection.pictures[place] for place in pair)
        said = memory.verdict(a.sha256, b.sha256)
        if said is None:
            try:
                seen = [_described(collection, place, views.of(collection.pictures[place])) for place in pair]
                found = verdict.judge_pair(*seen)
            except decode.INTERRUPTIONS:
                raise
            except Exception as error:  # whatever one pair brings takes nothing from the others
                return f"{a.name}, {b.name}: {error}"
            said = {"kind": found.kind, "text": found.text}
            memory.keep_verdict(a.sha256, b.sha256, said)
        return VerifiedPair(a, b, said["kind"], said["text"], pairs[pair])

    return map_in_threads(work, pairs, jobs)


def _described(collection: ImageCollection, place: int, view: ComparisonImage) -> ComparisonImage:
    """The view, knowing what methods saw in the whole picture: a verdict may ask for it."""
    for look in collection.looks.values():
        if len(look.orientations) == 1 and look.seen[place]:
            view.once(look.method, partial(look.upright, place))
    return view


def exact_duplicate_pairs(twins: Iterable[ExactDuplicate]) -> Iterator[VerifiedPair]:
    """What twins are to each other."""
    same = verdict.Verdict("same-file")
    return (VerifiedPair(a, b, "same-file", same.text, {}) for a, b in twins)


def connected_components(findings: Iterable[VerifiedPair]) -> list[list[VerifiedPair]]:
    """Findings that have a picture in common, directly or by others, together: those of most findings first."""
    findings = list(findings)
    leader: dict[str, str] = {}

    def led(name: str) -> str:
        while (other := leader.setdefault(name, name)) != name:
            leader[name] = name = leader[other]
        return name

    for finding in findings:
        leader[led(finding.b.name)] = led(finding.a.name)
    together: dict[str, list[VerifiedPair]] = {}
    for finding in findings:
        together.setdefault(led(finding.a.name), []).append(finding)
    groups = [sorted(group, key=lambda finding: -finding.similarity) for group in together.values()]
    return sorted(groups, key=lambda group: (-len(group), -group[0].similarity))


def group_pairs(findings: Iterable[VerifiedPair]) -> list[list[VerifiedPair]]:
    """Findings of copies of one picture together, and those that are no copies each by itself.

    Pictures with most copies come first, then the likest pairs.
    """
    findings = list(findings)
    single = [[finding] for finding in findings if not finding.is_copy]
    copies = connected_components(finding for finding in findings if finding.is_copy)
    return [*copies, *sorted(single, key=lambda group: -group[0].similarity)]
