from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from similar_images.signatures.embedding import Embedding
from similar_images.signatures.embedding.presets import PRESETS
from tests import encoders
from tests.signatures.contract import draw


@pytest.mark.parametrize("preset", PRESETS)
def test_presets__fit_a_model_of_their_shape(preset: str, folder: Path) -> None:
    encoder = PRESETS[preset]
    path = encoders.image_encoder(folder / f"{preset}.onnx", size=encoder.size, dimensions=encoder.dimensions or 0)
    output = {"none": "vector", "mean": "map", "gem": "map", "cls": "tokens"}[encoder.pooling]
    method = Embedding(preset=preset, file=path, output=output)
    assert method.check() == []
    vector = method.compute(draw(300, 200))
    assert vector.shape == (encoder.dimensions,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert method.curve == encoder.curve
    assert len(method.version) <= 64


def test_presets__default_is_the_measured_one() -> None:
    encoder = PRESETS["efficientnet-lite0"]
    assert Embedding().options == encoder
    assert Embedding().curve == Embedding.curve
