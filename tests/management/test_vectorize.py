"""Vectors and labels of files, written without a database."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from django.core.management import CommandError
from scipy.sparse import csr_matrix

from similar_images import plugins
from similar_images.imaging import decode
from tests import commands, drawing, encoders

DATA = Path(skimage.__file__).parent / "data"

run = partial(commands.run, "vectorize")

# No test here has the mark `django_db`: a query would raise an error.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with four images in two levels, and a file that is none."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    shutil.copy(DATA / "coffee.png", folder / "b.png")
    shutil.copy(DATA / "chelsea.png", folder / "below" / "a.png")
    drawing.scene(1).save(folder / "C.JPG")
    drawing.scene(2).save(folder / "[d].png")
    (folder / "notes.txt").write_text("no image")
    return folder


def read(output: Path) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return the arrays and the rows of a run."""
    with np.load(f"{output}.npz") as arrays, open(f"{output}.csv", newline="", encoding="utf-8") as table:
        return dict(arrays), list(csv.DictReader(table))


def pixels(path: Path) -> Any:
    return decode.decode(path.read_bytes(), max_pixels=10**7).pixels


def test_vectorize__a_pattern(folder: Path, tmp_path: Path) -> None:
    out, err = run(f"{folder}/**/*.png", output=tmp_path / "v")
    arrays, rows = read(tmp_path / "v")
    paths = [f"{folder}/[d].png", f"{folder}/b.png", f"{folder}/below/a.png"]
    assert list(arrays["path"]) == [row["path"] for row in rows] == paths
    assert arrays["embedding"].shape == (3, 1280)
    assert arrays["embedding"].dtype == np.float32
    for name, method in plugins.enabled_methods().items():
        for index, path in enumerate(paths):
            assert np.array_equal(arrays[name][index], method.compute(pixels(Path(path))))
    assert dict(zip(arrays["method"], arrays["version"], strict=True)) == plugins.configured_versions()
    assert arrays["size"].tolist()[1:] == [[600, 400], [451, 300]]
    assert arrays["label"].shape == arrays["score"].shape == (3, 5)
    assert arrays["label"][1, 0] == rows[1]["label_1"] == "espresso"
    assert rows[2]["label_1"] in {"Egyptian cat", "tiger cat", "tabby"}
    assert float(rows[1]["score_1"]) == pytest.approx(float(arrays["score"][1, 0]), abs=1e-5)
    assert list(rows[0])[-1] == "score_5"
    assert f"3 images, by embedding, color: {tmp_path}/v.npz, {tmp_path}/v.csv" in out
    assert err == ""


def test_vectorize__where_no_database_can_be_reached(folder: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none?connect_timeout=1"}
    project = Path(__file__).parents[2]
    environment |= {"PYTHONPATH": str(project), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(
        [sys.executable, str(project / "manage.py"), "vectorize", "*.png", "--method", "phash"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    arrays, rows = read(folder / "vectors")
    assert [row["path"] for row in rows] == ["[d].png", "b.png"]
    assert arrays["phash"].shape == (2, 64)


def test_vectorize__folders_and_files_in_order_and_once(folder: Path, tmp_path: Path) -> None:
    """In the order of the arguments, and then of the paths; brackets of a name that exists are no pattern."""
    run(f"{folder}/[d].png", str(folder), f"{folder}/*.png", method=["phash"], labels=0, output=tmp_path / "v")
    arrays, rows = read(tmp_path / "v")
    assert [Path(path).name for path in arrays["path"]] == ["[d].png", "C.JPG", "b.png", "a.png"]
    assert arrays["phash"].dtype == bool
    assert arrays["label"].size == 0
    assert list(rows[0]) == ["path", "sha256", "width", "height"]


def test_vectorize__gives_the_same_files_again(folder: Path, tmp_path: Path) -> None:
    for name, jobs in (("one", 1), ("two", 3)):
        run(str(folder), jobs=jobs, method=["color", "phash"], labels=1, output=tmp_path / name)
    (first, first_rows), (second, second_rows) = read(tmp_path / "one"), read(tmp_path / "two")
    assert first_rows == second_rows
    assert all(np.array_equal(first[name], second[name]) for name in first.keys() | second.keys())


def test_vectorize__sparse_vectors(folder: Path, tmp_path: Path) -> None:
    run(str(folder), method=["wavelet"], labels=0, output=tmp_path / "v")
    arrays, _rows = read(tmp_path / "v")
    parts = [arrays[f"wavelet.{part}"] for part in ("data", "indices", "indptr")]
    matrix = csr_matrix(tuple(parts), shape=tuple(arrays["wavelet.shape"]))
    value = plugins.load_method("wavelet", {}).compute(pixels(folder / "b.png"))
    assert Path(arrays["path"][2]).name == "b.png"
    assert dict(zip(matrix[2].indices.tolist(), matrix[2].data, strict=True)) == pytest.approx(value)


def test_vectorize__by_an_encoder(folder: Path, tmp_path: Path, configure: Any) -> None:
    """One that was added, beside a preset whose package is installed, and a method."""
    configure(ENCODERS=str(tmp_path / "encoders"))
    model = encoders.color_encoder(tmp_path / "mine.onnx")
    commands.run("encoders", "add", "mine", file=model, license="MIT", accept_license=True, options={"dimensions": 3})
    options = {"encoder": ["mine", "efficientnet-lite0"], "method": ["color"], "labels": 0}
    run(f"{folder}/b.png", output=tmp_path / "v", **options)
    arrays, _rows = read(tmp_path / "v")
    assert arrays["method"].tolist() == ["color", "mine", "efficientnet-lite0"]
    assert arrays["mine"].shape == (1, 3)
    assert arrays["efficientnet-lite0"].shape == (1, 1280)


def test_vectorize__vectors_in_the_table(folder: Path, tmp_path: Path) -> None:
    run(str(folder), method=["color", "phash"], labels=1, csv_vectors=True, output=tmp_path / "v")
    arrays, rows = read(tmp_path / "v")
    assert list(rows[0])[4:8] == ["label_1", "score_1", "color_0", "color_1"]
    written = np.array([[float(row[f"color_{index}"]) for index in range(216)] for row in rows], np.float32)
    assert np.array_equal(written, arrays["color"])
    assert [[float(row[f"phash_{index}"]) for index in range(64)] for row in rows] == arrays["phash"].tolist()


def test_vectorize__names_damaged_files_and_writes_the_others(folder: Path, tmp_path: Path) -> None:
    (folder / "below" / "cut.png").write_bytes((DATA / "coffee.png").read_bytes()[:5000])
    (folder / "empty.jpg").touch()
    with pytest.raises(CommandError, match=r"Files that could not be described: 3. All others were."):
        run(str(folder), f"{folder}/notes.txt", method=["phash"], labels=0, output=tmp_path / "v")
    arrays, rows = read(tmp_path / "v")
    assert len(rows) == len(arrays["phash"]) == 4


def test_vectorize__names_what_is_wrong_with_a_file(folder: Path, tmp_path: Path, capsys: Any, configure: Any) -> None:
    (folder / "empty.jpg").touch()
    configure(MAX_PIXELS=200_000)
    with pytest.raises(CommandError):
        run(str(folder), method=["phash"], labels=0, output=tmp_path / "v", stderr=None)
    told = capsys.readouterr().err
    assert "empty.jpg: The file is empty." in told
    assert "b.png: The image has more than 200,000 pixels." in told


def test_vectorize__keeps_former_results_where_nothing_can_be_described(folder: Path, tmp_path: Path) -> None:
    run(f"{folder}/b.png", method=["phash"], labels=0, output=tmp_path / "v")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("v.*")}
    with pytest.raises(CommandError, match=r"None of the files could be described: 1. Nothing was written."):
        run(f"{folder}/notes.txt", method=["phash"], output=tmp_path / "v")
    assert {path.name: path.read_bytes() for path in tmp_path.glob("v.*")} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (["{folder}/*.webp"], {}, "No image files match .*webp"),
        (["{folder}/missing.png"], {}, "No image files match .*missing.png"),
        (["{folder}"], {"method": ["nothing"]}, "--method: there is no 'nothing'. Choices: embedding, "),
        (["{folder}"], {"encoder": ["nothing"]}, "There is no encoder 'nothing'. Choices: efficientnet-lite0"),
        (["{folder}"], {"encoder": ["vgg16"]}, "the preset 'vgg16' needs a file"),
        (["{folder}"], {"labels": -1}, "--labels must be between 0 and 1000."),
        (["{folder}"], {"jobs": 0}, "--jobs must be at least 1."),
        (["{folder}"], {"output": Path("/no/such/v")}, "--output: there is no folder /no/such."),
        (["{folder}"], {"output": Path("v.npz")}, "--output must be the name of the files without"),
        (["{folder}"], {"method": ["wavelet"], "csv_vectors": True}, "vectors of wavelet are sparse"),
    ],
)
def test_vectorize__refuses_wrong_arguments(
    arguments: list[str], options: dict[str, Any], message: str, folder: Path
) -> None:
    with pytest.raises(CommandError, match=message):
        run(*(argument.format(folder=folder) for argument in arguments), **options)


def test_vectorize__refuses_a_method_with_the_name_of_an_array(folder: Path, configure: Any) -> None:
    configure(METHODS={"label": {"class": "phash"}}, RANKING={"label": 1})
    with pytest.raises(CommandError, match="A method 'label' can't be written: rename it"):
        run(str(folder))
