"""Labels from editors' marks: images that are connected by marks as similar have the same one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..duplicates.graphs import connected_components
from .description import DescribedSet

MARKS_LABEL = "marks"
"""Name of the label that images have from editors' marks."""


def label_by_marks(described: DescribedSet, marks: Iterable[tuple[str, str, bool]]) -> tuple[DescribedSet, int]:
    """Return a set whose images have a label by editors' marks, and the number of groups that marks make.

    Args:
        described: images of a source.
        marks: ids of two objects, and whether they were marked as similar.
    """
    known = {image.object_id for image in described.images}
    pairs = [(a, b, is_alike) for a, b, is_alike in marks if a in known and b in known]
    groups = connected_components(
        [(a, b) for a, b, is_alike in pairs if is_alike], [(a, b) for a, b, is_alike in pairs if not is_alike]
    )
    labels = {object_id: str(number) for number, group in enumerate(groups, 1) for object_id in group}
    images = [
        replace(image, labels={**image.labels, MARKS_LABEL: labels.get(image.object_id, "")})
        for image in described.images
    ]
    return replace(described, images=images), sum(len(group) > 1 for group in groups)
