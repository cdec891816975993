"""A projection of stored signatures, learned from what people say is alike, and used only where it finds more of it.

Pictures that are said to be alike still differ: by light, by background, by angle. The directions in which they differ
most are damped, as far as that helps on pictures of other groups (within-class covariance normalization: Hatch,
Kajarekar and Stolcke, "Within-Class Covariance Normalization for SVM-Based Speaker Recognition", 2006).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from .. import conf
from ..graphs import connected_components
from ..imaging.opencv import single_core
from ..indexing import hnsw, versions
from ..models import IndexedImage, MethodVersion, Projection, Signature, Source
from ..registry import ImageSource
from ..signatures import storage
from ..signatures.base import Method
from ..signatures.distances import BLOCK, SignatureArray
from ..signatures.projection import ProjectedMethod
from .calibration import fit_curve
from .retrieval import ranking_metrics
from .stored import describe_source

if TYPE_CHECKING:
    Floats = NDArray[np.float32]
    Places = NDArray[np.intp]

MIN_GROUPS = 8
"""Groups below which a lucky split would decide: half of them are learned from, half are searched."""

MIN_PICTURES = 60
"""Pictures in these groups, at least."""

MAX_PICTURES = 5_000
MAX_GROUP_SIZE = 200
"""More would take minutes and say little more."""

DIRECTIONS = 256
"""The directions of the greatest differences; the others stay as they are."""

RIDGES = (3.0, 1.0, 0.3, 0.1, 0.03)
"""How little a direction is damped: variances are counted from this share of the greatest one."""

SPLITS = 3
"""Times that the groups are halved, and each half searched by what was learned from the other."""

QUERIES = 1_000
"""Pictures of a half to search with, at most."""

MIN_GAIN = 0.005
"""Mean average precision that a projection must add, to be worth its place."""

LabeledPair = tuple[str, str, bool]
"""Two object ids, and whether their pictures are alike."""


class NotEnoughData(ValueError):
    """There is too little to learn from; the message says how much it takes."""


@dataclass(frozen=True)
class TrainingSet:
    """What is said of n pictures.

    `values`: their signatures, (n, dimensions). `groups`: the number of each one's group, (n,); those of one group are
    alike. `unlike`: the places of pairs that are not, (p, 2), whatever their groups.
    """

    values: Floats
    groups: Places
    unlike: Places

    def of(self, groups: Iterable[int]) -> TrainingSet:
        """That on the pictures of these groups."""
        places = np.flatnonzero(np.isin(self.groups, list(groups)))
        new = np.full(len(self.groups), -1)
        new[places] = np.arange(len(places))
        unlike = new[self.unlike]
        return TrainingSet(self.values[places], self.groups[places], unlike[(unlike >= 0).all(axis=1)])

    def halves(self, seed: int) -> tuple[TrainingSet, TrainingSet]:
        """Whole groups, dealt out by chance."""
        groups = np.random.default_rng(seed).permutation(np.unique(self.groups))
        return self.of(groups[::2]), self.of(groups[1::2])

    @cached_property
    def spread(self) -> tuple[Floats, Floats, Floats]:
        """The directions in which pictures of a group differ most, (k, dimensions), how much, (k,), and how much
        those do that are said to be unlike, (k,)."""
        from sklearn.decomposition import PCA

        numbers = np.unique(self.groups, return_inverse=True)[1]
        sums = np.zeros((numbers.max() + 1, self.values.shape[1]), np.float32)
        np.add.at(sums, numbers, self.values)
        within = self.values - (sums / np.bincount(numbers)[:, None])[numbers]
        found = PCA(min(DIRECTIONS, *(np.array(within.shape) - 1)), svd_solver="randomized", random_state=0).fit(within)
        apart = (self.values[self.unlike[:, 0]] - self.values[self.unlike[:, 1]]) @ found.components_.T
        unlike = (apart**2).sum(axis=0) / (2 * max(len(apart), 1))
        return found.components_, found.explained_variance_, unlike

    def fit(self, ridge: float, contrast: float) -> tuple[Floats, Floats]:
        """The mean, (dimensions,), and the matrix, (dimensions, dimensions), that damp what is different within groups.

        `contrast`: how much it counts against damping a direction that unlike pairs differ in it.
        """
        directions, within, unlike = self.spread
        kept = ridge * within[0] + contrast * unlike + 1e-12
        gains = np.sqrt(kept / (kept + within))
        matrix = np.eye(self.values.shape[1]) + (directions.T * (gains - 1)) @ directions
        return self.values.mean(axis=0), matrix.astype(np.float32)

    def precisions(self, projection: tuple[Floats, Floats] | None = None) -> Floats:
        """The average precision of every picture as a query among the others, (n,); NaN where it is no query."""
        mean, matrix = projection or (np.float32(0), np.eye(self.values.shape[1], dtype=np.float32))
        seen = (self.values - mean) @ matrix
        seen /= np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-12)
        result = np.full(len(seen), np.nan, np.float32)
        queries = np.random.default_rng(0).permutation(len(seen))[:QUERIES]
        for start in range(0, len(queries), BLOCK):
            chosen = queries[start : start + BLOCK]
            alike = self._alike(chosen)
            chosen, alike = chosen[alike.any(axis=1)], alike[alike.any(axis=1)]
            distances = 1 - seen[chosen] @ seen.T
            distances[np.arange(len(chosen)), chosen] = np.inf
            if len(chosen):
                result[chosen] = ranking_metrics(distances, alike)[:, 0]
        return result

    def _alike(self, queries: Places) -> NDArray[np.bool_]:
        alike: NDArray[np.bool_] = self.groups[queries][:, None] == self.groups
        alike[np.arange(len(queries)), queries] = False
        for a, b in (self.unlike.T, self.unlike.T[::-1]):
            row = {query: place for place, query in enumerate(queries.tolist())}
            for query, other in zip(a.tolist(), b.tolist(), strict=True):
                if query in row:
                    alike[row[query], other] = False
        return alike

    def best(self) -> tuple[float, float]:
        """The ridge and the contrast that find most, learned on a half of the groups and searched on the other."""
        parts = self.halves(0)
        options = [(ridge, contrast) for ridge in RIDGES for contrast in ((0.0, 1.0) if len(self.unlike) else (0.0,))]
        found = {
            option: np.nansum(np.concatenate([b.precisions(a.fit(*option)) for a, b in (parts, parts[::-1])]))
            for option in options
        }
        return max(options, key=lambda option: found[option])


@dataclass(frozen=True)
class CrossValidation:
    """What was found in halves of the groups by what was learned from the other halves: the average precision of
    every query without and with the projection, (n,) each, over its SPLITS, and its group."""

    base: Floats
    learned: Floats
    groups: Places

    @property
    def means(self) -> tuple[float, float]:
        """Mean average precision, 0 to 1, without and with the projection."""
        return float(self.base.mean()), float(self.learned.mean())

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Where the gain lies with 95 percent, if whole groups had come by chance (bootstrap)."""
        numbers = np.unique(self.groups, return_inverse=True)[1]
        gains, counts = np.bincount(numbers, self.learned - self.base), np.bincount(numbers)
        drawn = np.random.default_rng(0).integers(len(counts), size=(2_000, len(counts)))
        low, high = np.quantile(gains[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [0.025, 0.975])
        return float(low), float(high)

    @property
    def wins(self) -> bool:
        base, learned = self.means
        return learned - base >= MIN_GAIN and self.interval[0] > 0


def cross_validate(lesson: TrainingSet) -> CrossValidation:
    """Learn from half of the groups and search the others; no picture is in both.

    Raises:
        TooFew: no picture is like another one.
    """
    base, learned = [], []
    for seed in range(SPLITS):
        parts = lesson.halves(seed + 1)
        for known, held_out in (parts, parts[::-1]):
            projection = known.fit(*known.best())
            both = np.full((2, len(lesson.groups)), np.nan, np.float32)
            both[:, np.isin(lesson.groups, held_out.groups)] = held_out.precisions(), held_out.precisions(projection)
            base.append(both[0])
            learned.append(both[1])
    asked = ~np.isnan(base).all(axis=0)
    if not asked.any():
        raise NotEnoughData("Every pair that is alike by its labels is said to be unlike.")
    before, after = (np.nanmean(np.array(part)[:, asked], axis=0) for part in (base, learned))
    return CrossValidation(before, after, lesson.groups[asked])


def read_training_set(
    source: ImageSource, method: Method, labels: Mapping[str, str], pairs: Iterable[LabeledPair]
) -> TrainingSet:
    """What labels by object id, and pairs, say of pictures that are described by the method.

    Raises:
        TooFew: what is left of them are too few pictures or groups.
    """
    pairs = list(pairs)
    members = list(_groups(labels, pairs))
    draw = random.Random(0)  # noqa: S311 - always the same draw, to repeat a run; no secret
    draw.shuffle(members)
    stored: dict[str, Any] = {}
    groups: list[int] = []
    for number, ids in enumerate(members):
        found = _stored(source, method, draw.sample(ids, min(len(ids), MAX_GROUP_SIZE)))
        if len(found) > 1:
            stored |= found
            groups += [number] * len(found)
        if len(stored) >= MAX_PICTURES:
            break
    if len(set(groups)) < MIN_GROUPS or len(stored) < MIN_PICTURES:
        raise NotEnoughData(
            f"{source.label}: {len(stored)} indexed pictures in {len(set(groups))} groups of two or more are too few; "
            f"it takes {MIN_PICTURES} in {MIN_GROUPS}."
        )
    places = {object_id: place for place, object_id in enumerate(stored)}
    unlike = [(places[a], places[b]) for a, b, alike in pairs if not alike and a in places and b in places]
    return TrainingSet(np.array(list(stored.values())), np.array(groups), np.array(unlike, np.intp).reshape(-1, 2))


def _groups(labels: Mapping[str, str], pairs: list[LabeledPair]) -> Iterator[list[str]]:
    """The object ids that have one label, or are joined by pairs that are alike."""
    first: dict[str, str] = {}
    joined = [(first.setdefault(label, object_id), object_id) for object_id, label in labels.items() if label]
    joined += [(a, b) for a, b, alike in pairs if alike]
    return (ids for ids in connected_components(joined) if len(ids) > 1)


def _stored(source: ImageSource, method: Method, object_ids: list[str]) -> dict[str, Any]:
    rows = Signature.objects.filter(
        source_id=Source.objects.get_id(source),
        method=method.name,
        version=method.version,
        low_detail=False,
        record__status=IndexedImage.Status.INDEXED,
        record__object_id__in=object_ids,
    ).order_by("record")
    return {object_id: storage.unpack(value) for object_id, value in rows.values_list("record__object_id", "dense")}


def fit_projection(source: ImageSource, method: Method, lesson: TrainingSet) -> ProjectedMethod:
    """The method through the projection that all of the lesson teaches, with percents measured on the source.

    Raises:
        UnreadableImage: no picture can be read, to measure what its copies get.
    """
    mean, matrix = (part.astype(np.float32).tobytes() for part in lesson.fit(*lesson.best()))
    digest = hashlib.sha256(method.version.encode() + mean + matrix).hexdigest()[:16]
    made = ProjectedMethod(
        method,
        version=f"{method.version[:46]}-p{digest}",
        dimensions=method.dimensions,
        curve=method.curve,
        mean=mean,
        matrix=matrix,
    )
    described, _missing = describe_source(source, None, {method.name: method}, MIN_PICTURES)
    originals = SignatureArray(made, made.project(described.signatures[method.name].dense))
    with single_core():
        made.curve = fit_curve(described.items, originals, made, conf.get().max_pixels).curve
    return made


def switch_on(
    source: ImageSource, method: ProjectedMethod, learned_from: dict[str, Any], trial: CrossValidation
) -> bool:
    """Make the projection's signatures of those that are stored, and let searches go by them; tell whether they do.

    Where they do not yet, because a record was locked or lacks a signature, the next sweeps see to it.
    """
    rows = MethodVersion.objects.filter(source_id=Source.objects.get_id(source), name=method.name)
    base = rows.get(version=method.base.version)
    (mean, matrix), (before, after) = method.numbers, trial.means
    with transaction.atomic():
        projection = Projection.objects.create(
            base=base.version,
            mean=mean,
            matrix=matrix,
            curve=method.curve,
            learned_from=learned_from,
            figures={"mAP": {"base": before, "projection": after}, "gain": trial.interval},
        )
        new = {"dimensions": method.dimensions, "curve": method.curve, "is_calibrated": True, "projection": projection}
        rows.update_or_create(
            source_id=base.source_id,
            name=method.name,
            version=method.version,
            defaults={"storage": base.storage, "metric": base.metric, "method_config": base.method_config, **new},
        )
        Projection.objects.filter(version=None).delete()  # one that was just learned anew
    for _size in versions.fill_projection(source, method):  # before it is on: pictures that lack it would be read again
        pass
    return _set_active_projection(source, method.name, projection)


def switch_off(source: ImageSource, name: str) -> bool:
    """Let searches by this method go by its own signatures again; tell whether they do."""
    return _set_active_projection(source, name, None)


def _set_active_projection(source: ImageSource, name: str, projection: Projection | None) -> bool:
    of_method = Projection.objects.filter(version__source_id=Source.objects.get_id(source), version__name=name)
    with transaction.atomic():
        of_method.filter(is_enabled=True).update(is_enabled=False)
        if projection:
            of_method.filter(pk=projection.pk).update(is_enabled=True)
    hnsw.sync_indexes()
    versions.switch_versions()
    return versions.active_versions(source)[name].version == versions.configured_methods(source)[name].version
