"""A copy that one process has written is there for the next one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("milvus_lite", reason="NO SEARCH BACKEND: pip install pymilvus[milvus-lite]")

WRITE = """
import sys, numpy as np
from similar_images.backends.base import Collection, StoredVector
from similar_images.backends.milvus import Milvus

backend, copy = Milvus(sys.argv[1], timeout=60), Collection("similar_images_test", 2, "cosine")
backend.create(copy)
backend.write(copy, [StoredVector(7, np.array([1, 0], np.float32)), StoredVector(8, np.array([0, 1], np.float32))])
backend.finish(copy)
"""

READ = """
import sys, numpy as np
from similar_images.backends.base import Collection
from similar_images.backends.milvus import Milvus

backend, copy = Milvus(sys.argv[1], timeout=60), Collection("similar_images_test", 2, "cosine")
((hit,),) = backend.find_nearest(copy, [np.array([0.1, 1], np.float32)], 1)
print(hit.record_id, backend.count(copy))
"""


def test_copy__is_searched_by_another_process(tmp_path: Path) -> None:
    def run(program: str) -> str:
        command = [sys.executable, "-c", program, str(tmp_path / "milvus.db")]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(WRITE)
    assert run(READ).split() == ["8", "2"]
