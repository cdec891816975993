from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from similar_images.signatures.embedding import Embedding
from similar_images.signatures.embedding.options import EncoderOptions
from similar_images.signatures.embedding.preprocessing import preprocess
from tests import encoders
from tests.signatures.contract import draw


def expected_output(pixels: Any, path: Path, output: str) -> Any:
    """What onnxruntime says to a picture of 32 x 32 that needs no cut, in RGB with ImageNet's mean and deviation."""
    values = (pixels / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    batch = values.transpose(2, 0, 1)[None].astype(np.float32)
    return onnxruntime.InferenceSession(path).run([output], {"picture": batch})[0][0]


def normalize(vector: Any) -> Any:
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize(
    ("output", "pooling", "expected"),
    [
        ("vector", "none", lambda values: values),
        ("vector", "mean", lambda values: values),
        ("map", "mean", lambda values: values.mean((1, 2))),
        ("map", "gem", lambda values: (values.clip(1e-6) ** 3).mean((1, 2)) ** (1 / 3)),
        ("tokens", "mean", lambda values: values.mean(0)),
        ("tokens", "cls", lambda values: values[0]),
    ],
)
def test_pool_output(folder: Path, output: str, pooling: str, expected: Callable[[Any], Any]) -> None:
    path = encoders.image_encoder(folder / "pooling.onnx")
    pixels = draw(32, 32)
    vector = Embedding(file=path, size=32, output=output, pooling=pooling, crop=1).compute(pixels)
    np.testing.assert_allclose(vector, normalize(expected(expected_output(pixels, path, output))), atol=1e-5)


def test_preprocess__crops_and_squashes() -> None:
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, 20:60] = 255
    encoder = EncoderOptions(size=40, mean=(0, 0, 0), std=(1, 1, 1), crop=1)
    assert preprocess(wide, encoder).min() == 1  # the square in the middle
    assert preprocess(wide, dataclasses.replace(encoder, squash=1))[0].mean(0).round().sum() == 20
    assert preprocess(wide, dataclasses.replace(encoder, squash=0.5))[0].mean(0).sum() == pytest.approx(
        40 * 40 / 60, 0.1
    )
    assert preprocess(wide.transpose(1, 0, 2), encoder).min() == 1
    assert preprocess(wide, dataclasses.replace(encoder, layout="NHWC")).shape == (40, 40, 3)
    assert preprocess(wide, dataclasses.replace(encoder, std=(1 / 255,) * 3)).max() == pytest.approx(255)


def test_preprocess__normalizes_each_channel() -> None:
    red = np.full((8, 8, 3), (255, 51, 0), np.uint8)
    encoder = EncoderOptions(size=4, mean=(0.5, 0.1, 0), std=(0.5, 1, 1), layout="NHWC")
    np.testing.assert_allclose(preprocess(red, encoder)[0, 0], (1, 0.1, 0), atol=1e-6)
    swapped = dataclasses.replace(encoder, channels="BGR")
    np.testing.assert_allclose(preprocess(red, swapped)[0, 0], (0, 0.1, 1), atol=1e-6)


def test_preprocess__leaves_bytes_to_a_model_that_takes_them() -> None:
    red = np.full((8, 8, 3), (255, 51, 0), np.uint8)
    encoder = EncoderOptions(size=4, layout="NHWC")
    square = preprocess(red, encoder, normalize=False)
    assert square.dtype == np.uint8
    assert square[0, 0].tolist() == [255, 51, 0]
    first = preprocess(red, dataclasses.replace(encoder, layout="NCHW", channels="BGR"), normalize=False)
    assert first[:, 0, 0].tolist() == [0, 51, 255]
