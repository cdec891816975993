from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import skimage.io
from numpy.typing import NDArray

from similar_images.signatures.embedding import Embedding, efficientnet

from .contract import MethodContract, draw

PICTURES = {"chelsea.png": {281, 282, 285}, "coffee.png": {967}, "motorcycle_left.png": {665, 670}}


def read(name: str) -> NDArray[np.uint8]:
    return skimage.io.imread(Path(skimage.__file__).parent / "data" / name)


@pytest.fixture(scope="module")
def embedding() -> Embedding:
    return Embedding()


class TestEmbedding(MethodContract):
    @pytest.fixture
    def method(self, embedding: Embedding) -> Embedding:
        return embedding

    def test_has_unit_length(self, method: Embedding) -> None:
        assert np.linalg.norm(method.compute(draw(90, 60))) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("name", "classes"), PICTURES.items())
def test_knows_what_it_sees(embedding: Embedding, name: str, classes: set[int]) -> None:
    logits = embedding.classify(read(name))
    assert logits.shape == (1000,)
    assert int(logits.argmax()) in classes


@pytest.mark.parametrize("row", range(3))
def test_equals_pytorch(embedding: Embedding, row: int) -> None:
    """See make_efficientnet_reference.py."""
    with np.load(Path(__file__).with_name("efficientnet_lite0_reference.npz")) as reference:
        pixels = read(str(reference["pictures"][row]))
        rows, columns = (np.arange(224) * side // 224 for side in pixels.shape[:2])
        framed = np.zeros((249, 249, 3), np.uint8)
        framed[12:236, 12:236] = pixels[rows[:, None], columns]  # compute() cuts a tenth off
        np.testing.assert_allclose(embedding.compute(framed), reference["embeddings"][row], atol=1e-5)
        logits = embedding.classify(framed)[reference["classes"][row]]
        np.testing.assert_allclose(logits, reference["logits"][row], atol=1e-3)


def test_threads_do_not_change_the_signature(embedding: Embedding) -> None:
    pixels = read("coffee.png")
    np.testing.assert_allclose(Embedding(threads=2).compute(pixels), embedding.compute(pixels), atol=1e-5)


def test_threads_share_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    model = efficientnet.build_onnx_model()
    monkeypatch.setattr(efficientnet, "build_onnx_model", lambda *variant: built.append(1) or model)
    embedding = Embedding()
    with ThreadPoolExecutor(4) as pool:
        signatures = list(pool.map(embedding.compute, [draw(100, 100)] * 8))
    assert len(built) == 1
    assert all((signature == signatures[0]).all() for signature in signatures)


FORK = """
import multiprocessing
import numpy as np
from similar_images.signatures.embedding import Embedding

embedding = Embedding(threads=2)
pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
here = embedding.compute(pixels)
context = multiprocessing.get_context("fork")
receiver, sender = context.Pipe(duplex=False)
worker = context.Process(target=lambda: sender.send(embedding.compute(pixels)), daemon=True)
worker.start()
assert receiver.poll(60), "the worker hangs"
np.testing.assert_allclose(receiver.recv(), here, atol=1e-6)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_worker_makes_its_own_session() -> None:
    """In a process of its own: who knows what other threads this one would leave behind in the child."""
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=120)


def test_model_is_valid_onnx() -> None:
    onnx.checker.check_model(onnx.load_from_string(efficientnet.build_onnx_model()), full_check=True)


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.getenv, ("HOME",)


@pytest.mark.parametrize("prefix", [b"", pickle.dumps(efficientnet.CHECKPOINT_MAGIC, 2)], ids=["at once", "later"])
def test_a_checkpoint_cannot_run_code(prefix: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError, match="getenv"):
        efficientnet.load_checkpoint(io.BytesIO(prefix + pickle.dumps(RunsCode(), 2)))


def test_another_file_is_no_checkpoint() -> None:
    with pytest.raises(pickle.UnpicklingError, match="layout"):
        efficientnet.load_checkpoint(io.BytesIO(pickle.dumps({"weights": 1})))


def test_a_cut_checkpoint_is_refused() -> None:
    data = efficientnet.checkpoint_path("efficientnet-lite0").read_bytes()
    with pytest.raises(EOFError):
        efficientnet.load_checkpoint(io.BytesIO(data[:1_000_000]))
