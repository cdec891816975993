"""Signatures mapped by a learned projection."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, ClassVar

from django.utils.functional import cached_property

from .base import Curve, Method, Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def can_project(method: Method) -> bool:
    """Return whether the signatures of this method can be projected.

    Projected signatures would no longer match those of texts, or the exact distance of `refine()`; and
    `has_low_detail()` knows unprojected signatures only.
    """
    is_plain = type(method).has_low_detail is Method.has_low_detail and not method.refines and not method.takes_text
    return is_plain and method.storage == "halfvec" and method.metric == "cosine"


class ProjectedMethod(Method):
    """A method whose signatures are those of another one, less a mean, times a matrix if any, scaled to length 1.

    Args:
        base: the method that is projected.
        version: name of this version.
        dimensions: length of a projected signature.
        curve: calibration curve of the projected signatures.
        mean: bytes of float32 (base.dimensions,).
        matrix: bytes of float32 (base.dimensions, dimensions); empty for none.
    """

    metric: ClassVar[Metric] = "cosine"
    version = ""
    dimensions = 0

    def __init__(
        self, base: Method, *, version: str, dimensions: int, curve: Curve, mean: bytes, matrix: bytes = b""
    ) -> None:
        self.base = base
        self.name = base.name
        self.method_config = base.method_config
        self.version = version
        self.dimensions = dimensions
        self.curve = curve
        self.mean_and_matrix = mean, matrix

    @classmethod
    def learned(cls, base: Method, kind: str, mean: bytes, matrix: bytes = b"") -> ProjectedMethod:
        """Make a version whose name tells what was learned; its curve is that of the base until it has its own.

        Args:
            base: the method that is projected.
            kind: one letter for the way in which it was learned.
            mean: as above.
            matrix: as above.
        """
        digest = hashlib.sha256(base.version.encode() + mean + matrix).hexdigest()[:16]
        version = f"{base.version[:46]}-{kind}{digest}"
        return cls(base, version=version, dimensions=base.dimensions, curve=base.curve, mean=mean, matrix=matrix)

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        import numpy as np

        mean, matrix = (np.frombuffer(values, np.float32) for values in self.mean_and_matrix)
        return mean, matrix.reshape(len(mean), self.dimensions) if len(matrix) else None

    def project(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Project signatures of the base, (base.dimensions,) or (n, base.dimensions), after rounding them as stored."""
        import numpy as np

        mean, matrix = self._arrays
        projected = values.astype(np.half).astype(np.float32) - mean
        if matrix is not None:
            projected = projected @ matrix
        unit: NDArray[np.float32] = projected / np.maximum(np.linalg.norm(projected, axis=-1, keepdims=True), 1e-12)
        return unit

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe an image: float32 (dimensions,), of length 1."""
        import numpy as np

        return self.project(np.asarray(self.base.compute(pixels), np.float32))

    def check(self) -> list[str]:
        """Return the problems of the base."""
        return self.base.check()
