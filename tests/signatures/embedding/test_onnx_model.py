from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from onnx import helper

from similar_images.signatures.embedding import Embedding, efficientnet, onnx_model
from tests import encoders
from tests.signatures.contract import draw
from tests.signatures.embedding.samples import MAP_OPTIONS, mutate, mutations, read_photo


def test_digest__includes_weights_beside_the_file(folder: Path) -> None:
    for number, suffix in enumerate((".data", "_data")):
        path = folder / f"beside{number}.onnx"
        options = {"save_as_external_data": True, "location": f"{path.name}{suffix}", "size_threshold": 1024}
        encoders.image_encoder(path, **options)
        method = Embedding(file=path, **MAP_OPTIONS)
        assert method.check() == []
        assert np.isfinite(method.compute(draw(40, 40))).all()
        before = method.version
        weights = Path(f"{path}{suffix}")
        weights.write_bytes(weights.read_bytes()[::-1])
        assert Embedding(file=path, **MAP_OPTIONS).version != before


def test_digest__reads_the_file_once(folder: Path) -> None:
    path = encoders.image_encoder(folder / "once.onnx", seed=7)
    method = Embedding(file=path, **MAP_OPTIONS)
    onnx_model._hash_files.cache_clear()
    versions = {method.version, Embedding(file=path, **MAP_OPTIONS).version}
    method.compute(draw(40, 40))
    assert len(versions) == 1
    assert onnx_model._hash_files.cache_info().misses == 1


def test_get_signature__known_one_is_that_of_the_built_model() -> None:
    method = Embedding(size=192)
    assert method._image_encoder.open_session()[1] == method._image_encoder.known


def test_check__opens_no_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    assert Embedding(file=encoders.image_encoder(tmp_path / "x.onnx"), **MAP_OPTIONS).check() == []


@settings(deadline=None, max_examples=200)
@given(changes=mutations)
def test_read_signature__of_a_mutated_file_gives_one_or_a_clear_error(
    changes: list[tuple[int, bytes, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3, 8, 8])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "graph", [value], [value])
    path = tmp_path_factory.getbasetemp() / "mutated.onnx"
    path.write_bytes(mutate(helper.make_model(graph).SerializeToString(), changes))
    with suppress(ValueError):
        str(onnx_model.read_signature(path))


def test_read_signature__of_a_type_that_is_not_known(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", 99, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "graph", [value], [value])
    path = tmp_path / "new.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    assert onnx_model.read_signature(path).inputs["x"].dtype == "unknown"


def test_open_session__model_newer_than_the_runtime(tmp_path: Path) -> None:
    """What onnxruntime itself refuses is told with the file's name."""
    path = encoders.image_encoder(tmp_path / "new.onnx")
    model = onnx.load(path)
    model.opset_import[0].version = 999
    onnx.save(model, path)
    with pytest.raises(RuntimeError, match=r"new\.onnx can't be opened"):
        Embedding(file=path, **MAP_OPTIONS).compute(draw(40, 40))


def test_open_session__one_for_each_process(folder: Path) -> None:
    method = Embedding(file=encoders.image_encoder(folder / "process.onnx"), **MAP_OPTIONS)
    method.compute(draw(40, 40))
    assert list(method._image_encoder._sessions) == [os.getpid()]


def test_threads__do_not_change_the_vector(embedding: Embedding) -> None:
    pixels = read_photo("coffee.png")
    np.testing.assert_allclose(Embedding(threads=2).compute(pixels), embedding.compute(pixels), atol=1e-5)


def test_open_session__threads_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_open_session__forked_process_opens_its_own() -> None:
    """In a process of its own: who knows what other threads this one would leave behind in the child."""
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=120)
