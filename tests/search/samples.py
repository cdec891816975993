"""Images, scored candidates and query vectors for tests of the search."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from similar_images.search.candidates import Candidate, ScoredCandidate
from similar_images.search.query_vectors import QueryVector
from similar_images.search.sql import KnnRow
from similar_images.signatures.base import Method, similarities_on_curve
from tests import drawing
from tests.items import save_image
from tests.methods import Mean, loaded
from tests.testapp.models import Picture

METHODS = {"tests.methods.Mean": {}, "tests.methods.Bits": {}}
"""Two quick methods, for the setting: "mean" and "bits"."""

HALF = np.repeat([1, 0], 32).reshape(8, 8)
"""8 × 8 cells, those of the upper half bright."""


def save_color(*color: int, **fields: Any) -> Picture:
    """Save an image of one color, with the color as its title."""
    file = drawing.ContentFile(drawing.encoded(Image.new("RGB", (8, 8), color)), name="color.png")
    return Picture.objects.create(image=file, title=str(color), **fields)


def save_cells(bright: Any, level: int = 255, **fields: Any) -> Picture:
    """Save an image of 8 × 8 cells; `Bits` describes which are bright, and `Mean` how much light there is."""
    pixels = np.where(np.kron(bright, np.ones((2, 2))) > 0, level, 0).astype(np.uint8)
    return save_image(Image.fromarray(pixels).convert("RGB"), str(level), **fields)


def scored_candidate(record_id: int, similarity: float, **scores: float) -> ScoredCandidate:
    """Make a scored candidate; by default, its score by the method "mean" is its similarity."""
    candidate = Candidate(record_id, str(record_id), "", {}, [])
    return ScoredCandidate(similarity, candidate, scores or {"mean": similarity})


def query_vector(method: Method | None = None, name: str = "", record_id: int = 0, value: Any = None) -> QueryVector:
    """Make the query vector of a method, with the zero vector as its value, and its name changed if one is given."""
    method = method or loaded(Mean)
    method.name = name or method.name
    return QueryVector(method, partial(similarities_on_curve, method.curve), "[0,0,0]", value, record_id, method)


def knn_row(record_id: int, *distances: float | None, found_by: tuple[int, ...] = (0,)) -> KnnRow:
    """Make a row of a statement."""
    return KnnRow(record_id, f"object {record_id}", f"{record_id}.png", found_by, distances)


def record_ids(results: list[ScoredCandidate]) -> list[int]:
    """Return the record ids of results, in order."""
    return [scored.candidate.record_id for scored in results]
