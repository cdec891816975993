"""Images on which encoders are tried: a sample of a source, indexed or not, or of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.db.models.fields.files import FieldFile

from .. import conf, marks
from ..imaging.files import read_stored
from ..sources.source import ImageSource
from .labeled_images import LabeledImage, read_folder, sample_indices
from .stored import read_field_labels

MAX_MARKS = 200
"""Marks of a source whose images are among the sample, the last ones, at most."""


@dataclass(frozen=True)
class TrialImages:
    """Images by which encoders are tried.

    Attributes:
        title: what they are of.
        images: the images, each with a "label", which is empty if unknown.
        marks: names of two images, and whether editors marked them as alike.
    """

    title: str
    images: list[LabeledImage]
    marks: list[tuple[str, str, bool]]


def read_source_sample(source: ImageSource, limit: int | None, label: str | None = None) -> TrialImages:
    """Return a sample of a source's images, the same one in every run, and those that marks are of.

    Args:
        source: the source.
        limit: number of images; None for all.
        label: a field, or a path to one, whose value labels the image.

    Raises:
        FieldError: the label field does not exist.
    """
    rows = source.with_file().order_by("pk").values_list("pk", source.field_name)
    names = {source.object_id(pk): name for pk, name in rows}
    pairs = [pair for pair in marks.marked_pairs(source) if pair[0] in names and pair[1] in names][-MAX_MARKS:]
    ids = list(names)
    chosen = {ids[index] for index in sample_indices(len(ids), limit)} | {
        each for a, b, _alike in pairs for each in (a, b)
    }
    files = source.get_files({object_id: name for object_id, name in names.items() if object_id in chosen})
    labels = read_field_labels(source, label) if label else {}
    images = {object_id: _label_stored(object_id, file, labels) for object_id, file in files.items()}
    known = [(images[a].name, images[b].name, alike) for a, b, alike in pairs if a in images and b in images]
    return TrialImages(source.label, list(images.values()), known)


def _label_stored(object_id: str, file: FieldFile, labels: Mapping[str, str]) -> LabeledImage:
    read = partial(read_stored, file, max_bytes=conf.get().max_bytes)
    return LabeledImage(f"{object_id}: {file.name}", read, {"label": labels.get(object_id, "")})


def read_folder_sample(folder: Path, limit: int | None) -> TrialImages:
    """Return a sample of a folder's images, the same one in every run; the group, or else the class, is the label.

    Raises:
        InvalidFolder: the folder does not exist, has no images, or its labels are wrong.
    """
    images = read_folder(folder)
    chosen = [images[index] for index in sample_indices(len(images), limit)]
    labeled = [
        LabeledImage(image.name, image.read, {"label": next(iter(image.labels.values()), "")}) for image in chosen
    ]
    return TrialImages(folder.name, labeled, [])
