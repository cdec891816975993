"""Every storage and metric: stored, read back, and compared as NumPy would."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

import similar_images
from similar_images.models import Signature
from similar_images.search import query_vectors
from similar_images.signatures import storage
from similar_images.signatures.base import Method
from tests import drawing, methods
from tests.databases import connection
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db

CUSTOM_METHODS = {"Mean": methods.Mean, "Bits": methods.Bits, "Sparse": methods.Sparse}


def dense_value(method: Method, pixels: np.ndarray) -> np.ndarray:
    value = method.compute(pixels)
    if isinstance(value, dict):
        full = np.zeros(method.dimensions)
        full[list(value)] = list(value.values())
        return full
    return np.asarray(value, float)


def expected_distance(method: Method, a: np.ndarray, b: np.ndarray) -> float:
    if method.metric == "cosine":
        return float(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return float(np.abs(a - b).sum())


@pytest.mark.parametrize("name", CUSTOM_METHODS)
def test_custom_method__is_stored_searched_and_compared(
    name: str, make_picture: Any, index_now: Any, configure: Any
) -> None:
    """A class of the project's own, named in the setting, of every kind of value."""
    method = CUSTOM_METHODS[name]()
    configure(METHODS={f"tests.methods.{name}": {}, "color": {}}, RANKING={method.name: 1})
    pictures = [make_picture(seed) for seed in range(6)]
    index_now()
    assert Signature.objects.filter(method=method.name).count() == 6
    arrays = {picture.pk: dense_value(method, np.array(drawing.scene(seed))) for seed, picture in enumerate(pictures)}
    matches = similar_images.similar_to(pictures[0])
    assert len(matches) == 5
    for match in matches:
        expected = method.similarity(expected_distance(method, arrays[pictures[0].pk], arrays[match.object.pk]))
        assert match.similarity == pytest.approx(expected, abs=0.15)
    by_file = similar_images.similar_to(io.BytesIO(drawing.encoded(drawing.scene(0))), model=Picture)
    assert (by_file[0].object, by_file[0].similarity) == (pictures[0], 100.0)
    assert [match.similarity for match in by_file[1:]] == [match.similarity for match in matches]


@pytest.mark.parametrize("name", CUSTOM_METHODS)
def test_pack__value_survives_the_round_trip(name: str, make_picture: Any, index_now: Any, configure: Any) -> None:
    """Twice: the second picture's signature is a copy of the first's, read from the database."""
    method = CUSTOM_METHODS[name]()
    configure(METHODS={f"tests.methods.{name}": {}}, RANKING={method.name: 1})
    make_picture(1)
    index_now()
    make_picture(1)
    index_now()
    column = storage.column_name(method)
    first, second = Signature.objects.values_list(column, flat=True)
    assert first == second
    expected = dense_value(method, np.array(drawing.scene(1)))
    if isinstance(first, str):
        assert [bit == "1" for bit in first] == list(expected.astype(bool))
    elif hasattr(first, "indices"):
        assert dict(zip(first.indices(), first.values(), strict=True)) == methods.Sparse().compute(
            np.array(drawing.scene(1))
        )
    else:
        assert list(first) == pytest.approx(list(expected), abs=1e-3)
    others = {"dense", "bits", "sparse"} - {column}
    assert set(Signature.objects.values_list(*others)) == {(None, None)}


def test_search__blends_all_storages_in_one_query(
    make_picture: Any, index_now: Any, configure: Any, django_assert_num_queries: Any
) -> None:
    configure(
        METHODS={f"tests.methods.{name}": {} for name in CUSTOM_METHODS}, RANKING={"mean": 1, "bits": 1, "sparse": 1}
    )
    black = drawing.ContentFile(drawing.encoded(Image.new("RGB", (8, 8))), name="black.png")
    pictures = [make_picture(seed) for seed in range(3)] + [Picture.objects.create(image=black)]
    index_now()
    with django_assert_num_queries(4):
        matches = similar_images.similar_to(pictures[0])
    assert len(matches) == 3
    assert all(set(match.scores) == {"mean", "bits", "sparse"} for match in matches)


class JaccardBits(methods.Bits):
    metric = "jaccard"


@pytest.mark.parametrize(
    ("method", "value", "reason"),
    [
        (methods.Mean(), [1, 2], "no signature of 3 values"),
        (methods.Mean(), [1, 2, 3, 4], "no signature of 3 values"),
        (methods.Mean(), [[1, 2, 3]], "no signature of 3 values"),
        (methods.Mean(), [], "no signature of 3 values"),
        (methods.Mean(), None, "no signature of 3 values"),
        (methods.Mean(), [0, np.nan, 0], "infinite value, or NaN"),
        (methods.Mean(), [0, np.inf, 0], "infinite value, or NaN"),
        (methods.Mean(), [0, -np.inf, 0], "infinite value, or NaN"),
        (methods.Mean(), [0, -70_000, 0], "infinite value, or NaN"),  # so it would be, in half precision
        (methods.Wide(), np.zeros(256), "zeros, which has no direction"),
        (methods.Wide(), np.full(256, 1e-9), "zeros, which has no direction"),  # so they would be, in half precision
        (methods.Bits(), np.ones(63, bool), "no signature of 64 values"),
        (JaccardBits(), np.ones((8, 8), bool), "no signature of 64 values"),
        (methods.Sparse(), {-1: 1.0}, "no signature of 50000 values"),
        (methods.Sparse(), {50_000: 1.0}, "no signature of 50000 values"),
        (methods.Sparse(), {1: np.nan}, "infinite value, or NaN"),
        (methods.Sparse(), {1: 1.0, 2: np.inf}, "infinite value, or NaN"),
        (methods.Sparse(), {}, "zeros, which has no direction"),
        (methods.Sparse(), {1: 0.0}, "zeros, which has no direction"),
        (methods.Sparse(), {1: 1e-30}, "zeros, which has no direction"),  # so its length would be, in single precision
    ],
)
def test_pack__refuses_invalid_values(method: Method, value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=f"The method {method.name} gave .*{reason}"):
        storage.pack(method, value)


@pytest.mark.parametrize(
    ("method", "value"),
    [
        (methods.Mean(), np.zeros(3)),
        (methods.Mean(), [storage.MAX_HALF, -storage.MAX_HALF, 1e-9]),
        (methods.Wide(), np.eye(1, 256)[0]),
        (methods.Bits(), np.zeros(64, bool)),
        (methods.Sparse(), {0: 1e-9, 49_999: storage.MAX_HALF}),
    ],
)
def test_pack__accepts_extreme_values(method: Method, value: Any) -> None:
    distance = storage.distance_sql(method, storage.column_name(method), "%s")
    literal = query_vectors.literal(storage.pack(method, value))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {distance} FROM {Signature._meta.db_table}", [literal])  # noqa: S608 - columns of ours
