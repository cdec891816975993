"""Write the signatures that test_stored_signatures.py guards: python -m tests.signatures.make_signatures

Run it when the version of a method has changed, and only then.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from similar_images import plugins, signatures
from tests import drawing

if TYPE_CHECKING:
    from similar_images.signatures.base import Value

FILE = Path(__file__).with_name("signatures.json")
SEEDS = (1, 2)


def compute(name: str) -> list[Value]:
    """Compute the signatures of two drawn images."""
    method = plugins.load_method(name, {})
    return [method.compute(np.array(drawing.scene(seed, size=(320, 240)))) for seed in SEEDS]


def serialize(value: Value) -> Any:
    """Serialize a signature, rounded as it is stored, for JSON."""
    if isinstance(value, dict):
        return {str(index): round(number, 5) for index, number in value.items()}
    if value.dtype == bool:
        return np.packbits(value).tobytes().hex()
    return value.astype(np.float16).tobytes().hex()


if __name__ == "__main__":
    signatures_by_name = {
        name: {
            "version": plugins.load_method(name, {}).version,
            "values": [serialize(value) for value in compute(name)],
        }
        for name in signatures.BUILT_IN_METHODS
    }
    FILE.write_text(json.dumps(signatures_by_name, indent=0) + "\n")
