"""What holds for the methods as a set."""

from __future__ import annotations

import pytest

from similar_images import plugins, signatures
from similar_images.signatures import storage


@pytest.mark.parametrize("name", signatures.BUILT_IN_METHODS)
def test_built_in__is_stored_under_its_name_and_can_be_indexed(name: str) -> None:
    method = plugins.load_method(name, {})
    assert method.name == name
    assert 0 < len(method.version) <= 64
    assert method.dimensions <= {"halfvec": 4_000, "bit": 64_000, "sparsevec": 10**9}[method.storage]
    assert method.metric in storage.VECTOR_TYPES[method.storage].distances
    assert method.curve[0] == (0, 100)
    assert method.curve[-1][1] == 0
