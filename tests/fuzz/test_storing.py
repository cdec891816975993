"""Signatures of any numbers: stored and read as they are, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from similar_images.duplicates.scan_cache import ScanCache
from similar_images.models import IndexedImage, Signature, Source
from similar_images.signatures import storage
from tests import methods
from tests.databases import ALIAS, connection
from tests.fuzz import answer_or_refusal, fuzzed

NUMBERS = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1e-8, 65_504.0, 65_520.0, 1e38])
DENSE = arrays.arrays(np.float32, st.sampled_from([(3,), (2,), (3, 1), (0,)]), elements=NUMBERS)
BITS = arrays.arrays(np.bool_, st.sampled_from([(64,), (63,), (0,)]))
SPARSE = st.dictionaries(st.integers(-1, 50_001), NUMBERS, max_size=20)
ANY_SIGNATURE = st.one_of(
    DENSE.map(lambda value: (methods.Mean(), value)),
    arrays.arrays(np.float32, 256, elements=NUMBERS).map(lambda value: (methods.Wide(), value)),
    BITS.map(lambda value: (methods.Bits(), value)),
    SPARSE.map(lambda value: (methods.Sparse(), value)),
)


@pytest.fixture
def record(db: None) -> IndexedImage:
    source = Source.objects.get(model="picture")
    return IndexedImage.objects.create(source=source, object_id="1", object_key=1, file_name="a.png")


def check_equal(method: Any, stored: Any, value: Any) -> None:
    if isinstance(value, dict):
        stored, value = (
            {i: number for i, number in vector.items() if np.float32(number)} for vector in (stored, value)
        )
        assert stored == pytest.approx(value, rel=1e-6)
    else:
        precision = np.half if method.storage == "halfvec" else value.dtype
        np.testing.assert_array_equal(stored, value.astype(precision))


@fuzzed
@given(ANY_SIGNATURE)
def test_database__gives_back_what_it_took(record: IndexedImage, signature: tuple[Any, Any]) -> None:
    method, value = signature
    packed = answer_or_refusal(ValueError, storage.pack, method, value)
    if packed is None:
        return
    fields = {"method": method.name, "version": method.version, storage.column_name(method): packed}
    with transaction.atomic(using=ALIAS):
        row = Signature.objects.create(record=record, source_id=record.source_id, **fields)
        row.refresh_from_db()
        check_equal(method, storage.unpack(getattr(row, storage.column_name(method))), value)
        with connection.cursor() as cursor:  # what is stored can be compared
            distance = storage.distance_sql(method, *2 * [storage.column_name(method)])
            cursor.execute(f"SELECT {distance} FROM {Signature._meta.db_table}", [])  # noqa: S608 - no input
            assert cursor.fetchone()[0] == pytest.approx(0, abs=1e-3)
        row.delete()


@fuzzed
@given(ANY_SIGNATURE)
def test_scan_cache__gives_back_what_it_took(tmp_path_factory: Any, signature: tuple[Any, Any]) -> None:
    method, value = signature
    if answer_or_refusal(ValueError, storage.pack, method, value) is None:
        return
    cache = ScanCache(tmp_path_factory.mktemp("cache") / "cache.sqlite")
    cache.save_image("digest", (1, 1), {method: [value]})
    (stored,) = cache.get_signatures("digest", method)
    cache.close()
    check_equal(method, stored, value)
