from __future__ import annotations

from pathlib import Path

import pytest

from similar_images.signatures.embedding import Embedding


@pytest.fixture(scope="session")
def embedding() -> Embedding:
    """The default embedding, which takes a second to build."""
    return Embedding()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the encoders of a module."""
    return tmp_path_factory.mktemp("encoders")
