"""Learning of a projection: from labels and pairs of a source's objects to a method with projected signatures."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import conf
from ..duplicates.graphs import connected_components
from ..imaging.opencv import single_core
from ..models import IndexedImage
from ..signatures import storage
from ..signatures.base import Method
from ..signatures.distances import SignatureArray
from ..signatures.projection import ProjectedMethod
from ..sources.source import ImageSource
from .calibration import fit_curve
from .cross_validation import NotEnoughData
from .stored import describe_source, searchable_signatures
from .training_set import TrainingSet

MIN_GROUPS = 8
"""With fewer groups a lucky split would decide, as one half is learned from and the other one searched."""

MIN_TRAINING_IMAGES = 60
"""Minimum number of images in these groups."""

MAX_TRAINING_IMAGES, MAX_GROUP_SIZE = 5_000, 200
"""Maximum numbers of images, and of images in a group: more would take minutes and teach little more."""

LabeledPair = tuple[str, str, bool]
"""Two object ids, and whether their images are similar."""


def read_training_set(
    source: ImageSource, method: Method, labels: Mapping[str, str], pairs: Iterable[LabeledPair]
) -> TrainingSet:
    """Read the signatures of images with labels (by object id) or in pairs, and group the similar ones.

    Raises:
        NotEnoughData: too few of the images are indexed by the method, or they are in too few groups.
    """
    pairs = list(pairs)
    members = _group_objects(labels, pairs)
    sampler = random.Random(0)  # noqa: S311 - a repeatable sample; no secret
    sampler.shuffle(members)
    values: dict[str, Any] = {}
    groups: list[int] = []
    for number, object_ids in enumerate(members):
        group = _read_group(source, method, sampler.sample(object_ids, min(len(object_ids), MAX_GROUP_SIZE)))
        if len(group) > 1:
            values |= group
            groups += [number] * len(group)
        if len(values) >= MAX_TRAINING_IMAGES:
            break
    if len(set(groups)) < MIN_GROUPS or len(values) < MIN_TRAINING_IMAGES:
        raise NotEnoughData(
            f"{source.label}: {len(values)} indexed images in {len(set(groups))} groups of two or more are too few; "
            f"at least {MIN_TRAINING_IMAGES} images in {MIN_GROUPS} groups are needed."
        )
    index = {object_id: position for position, object_id in enumerate(values)}
    dissimilar = [(index[a], index[b]) for a, b, is_similar in pairs if not is_similar and a in index and b in index]
    return TrainingSet(np.array(list(values.values())), np.array(groups), np.array(dissimilar, np.intp).reshape(-1, 2))


def _group_objects(labels: Mapping[str, str], pairs: list[LabeledPair]) -> list[list[str]]:
    """Return the object ids of each group of two or more that share a label or are linked by similar pairs."""
    first: dict[str, str] = {}
    edges = [(first.setdefault(label, object_id), object_id) for object_id, label in labels.items() if label]
    edges += [(a, b) for a, b, is_similar in pairs if is_similar]
    return [object_ids for object_ids in connected_components(edges) if len(object_ids) > 1]


def _read_group(source: ImageSource, method: Method, object_ids: list[str]) -> dict[str, Any]:
    rows = searchable_signatures(source, method).filter(
        record__status=IndexedImage.Status.INDEXED, record__object_id__in=object_ids
    )
    values = rows.order_by("record").values_list("record__object_id", "dense")
    return {object_id: storage.unpack(value) for object_id, value in values}


def fit_projection(source: ImageSource, method: Method, training_set: TrainingSet) -> ProjectedMethod:
    """Learn a projection from the whole training set, and calibrate its similarities on the source.

    Raises:
        UnreadableImage: none of the source's images can be read for the calibration.
    """
    mean, matrix = (part.astype(np.float32).tobytes() for part in training_set.fit(*training_set.select_parameters()))
    projected = ProjectedMethod.learned(method, "p", mean, matrix)
    described, _missing = describe_source(source, None, {method.name: method}, MIN_TRAINING_IMAGES)
    originals = SignatureArray(projected, projected.project(described.signatures[method.name].dense))
    with single_core():
        projected.curve = fit_curve(described.images, originals, projected, conf.get().max_pixels).curve
    return projected
