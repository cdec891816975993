"""Signatures seen through a linear map that was learned for them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from .base import Curve, Method, Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def can_project(method: Method) -> bool:
    """Whether a projection can stand between this method and a search.

    Words would be parted from pictures, a truer distance would measure something else, and what has low detail is
    told of the method's own signatures only.
    """
    kind = type(method)
    plain = kind.has_low_detail is Method.has_low_detail and not method.refines and not method.takes_text
    return plain and method.storage == "halfvec" and method.metric == "cosine"


class ProjectedMethod(Method):
    """A method's signatures, less a mean, times a matrix, of length 1.

    `mean`: float32 of shape (base.dimensions,), `matrix`: float32 of shape (base.dimensions, dimensions), as bytes.
    """

    metric: ClassVar[Metric] = "cosine"
    version = ""
    dimensions = 0

    def __init__(
        self, base: Method, *, version: str, dimensions: int, curve: Curve, mean: bytes, matrix: bytes
    ) -> None:
        self.base = base
        self.name = base.name
        self.method_config = base.method_config
        self.version = version
        self.dimensions = dimensions
        self.curve = curve
        self.numbers = mean, matrix

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        import numpy as np

        mean, matrix = (np.frombuffer(values, np.float32) for values in self.numbers)
        return mean, matrix.reshape(len(mean), self.dimensions)

    def project(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """What becomes of signatures of the base, (base.dimensions,) or (n, base.dimensions), rounded as stored."""
        import numpy as np

        mean, matrix = self._arrays
        seen = (values.astype(np.half).astype(np.float32) - mean) @ matrix
        unit: NDArray[np.float32] = seen / np.maximum(np.linalg.norm(seen, axis=-1, keepdims=True), 1e-12)
        return unit

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe a picture by `dimensions` numbers from -1 to 1, together of length 1."""
        import numpy as np

        return self.project(np.asarray(self.base.compute(pixels), np.float32))

    def check(self) -> list[str]:
        return self.base.check()
