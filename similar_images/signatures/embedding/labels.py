"""English names of the ImageNet classes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# From google-coral/test_data, imagenet_labels.txt (Apache-2.0); line k + 1 names class k.
LABELS_PATH = Path(__file__).with_name("imagenet_labels.txt")


@cache
def imagenet_labels() -> list[str]:
    """Return the first synonym of each of the 1000 class names, in the order of the logits."""
    return [line.partition(",")[0] for line in LABELS_PATH.read_text(encoding="utf-8").splitlines()]


def class_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probability of each class, of sum 1, by the outputs of a network (softmax)."""
    import numpy as np

    powers = np.exp(logits.astype(np.float64) - logits.max())
    probabilities: NDArray[np.float64] = powers / powers.sum()
    return probabilities
