from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from similar_images.imaging import opencv
from similar_images.imaging.opencv import get_creator, single_core


@pytest.mark.parametrize(
    ("stubs", "expected"),
    [
        ({"__init__.pyi": "class ORB(Feature2D): ..."}, False),
        ({"__init__.pyi": "class AKAZE(Feature2D): ...", "xfeatures2d/__init__.pyi": ""}, False),
        ({"__init__.pyi": "class KAZE(Feature2D): ..."}, True),
        ({"__init__.pyi": "", "xfeatures2d/__init__.pyi": "class KAZE(cv2.Feature2D): ..."}, True),
        ({}, True),
        (None, False),
    ],
    ids=["plain OpenCV 5", "contrib without", "OpenCV 4", "contrib", "no stubs", "no OpenCV"],
)
def test_declares_feature(
    stubs: dict[str, str] | None, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (stubs or {}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    spec = None if stubs is None else SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(opencv, "find_spec", lambda name: spec)
    assert opencv.declares_feature.__wrapped__("KAZE") is expected


def test_declares_feature__of_the_installed_build() -> None:
    assert opencv.declares_feature("KAZE")
    assert not opencv.declares_feature("NoSuchFeature")


def test_get_creator() -> None:
    create = get_creator("KAZE")
    assert create is not None
    assert create().descriptorSize() == 64
    assert get_creator("NoSuchFeature") is None


def test_single_core__ends_with_an_error() -> None:
    with threadpool_limits(2):  # the tests may run with one
        before = cv2.getNumThreads(), blas_threads()
        assert before[1] == {2}
        with pytest.raises(RuntimeError), single_core():
            assert (cv2.getNumThreads(), blas_threads()) == (1, {1})
            raise RuntimeError
        assert (cv2.getNumThreads(), blas_threads()) == before


def blas_threads() -> set[int]:
    """Return the numbers of threads of the libraries that NumPy and others do linear algebra by."""
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}
