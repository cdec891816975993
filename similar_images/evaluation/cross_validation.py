"""Cross-validation of a projection: does it find more similar images in groups that it was not learned from?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from django.utils.functional import cached_property

from .training_set import TrainingSet

if TYPE_CHECKING:
    from .training_set import Floats, Indices

SPLITS = 3
"""Number of times that the groups are halved; each half is searched with the projection learned from the other."""

MIN_GAIN = 0.005
"""Mean average precision that a projection must add to be activated."""


class NotEnoughData(ValueError):
    """There are too few images or groups to learn from; the message says how many are needed."""


@dataclass(frozen=True)
class CrossValidation:
    """Average precision of n queries without (`base`) and with (`learned`) the projection, float32 (n,).

    Means over SPLITS group-wise halvings. `groups`: group number of each query, int (n,).
    """

    base: Floats
    learned: Floats
    groups: Indices

    @property
    def means(self) -> tuple[float, float]:
        """Mean average precision, 0 to 1, without and with the projection."""
        return float(self.base.mean()), float(self.learned.mean())

    @cached_property
    def gain_interval(self) -> tuple[float, float]:
        """95% confidence interval of the gain, from a bootstrap over whole groups."""
        numbers = np.unique(self.groups, return_inverse=True)[1]
        gains, counts = np.bincount(numbers, self.learned - self.base), np.bincount(numbers)
        draws = np.random.default_rng(0).integers(len(counts), size=(2_000, len(counts)))
        low, high = np.quantile(gains[draws].sum(axis=1) / counts[draws].sum(axis=1), [0.025, 0.975])
        return float(low), float(high)

    @property
    def has_significant_gain(self) -> bool:
        """True if the gain reaches MIN_GAIN and its confidence interval is above zero."""
        base, learned = self.means
        return learned - base >= MIN_GAIN and self.gain_interval[0] > 0


def cross_validate(training_set: TrainingSet, *, is_centered: bool = False) -> CrossValidation:
    """Learn from half of the groups and search the other half; no image is in both.

    Args:
        training_set: the images.
        is_centered: whether searches take the mean off without the projection, too: then it has to gain more than that.

    Raises:
        NotEnoughData: no image is similar to another one.
    """
    base, learned = [], []
    for seed in range(SPLITS):
        first, second = training_set.split(seed + 1)
        for training, test in ((first, second), (second, first)):
            projection = training.fit(*training.select_parameters())
            precisions = np.full((2, len(training_set.groups)), np.nan, np.float32)
            precisions[:, np.isin(training_set.groups, test.groups)] = (
                test.average_precisions(training.centering if is_centered else None),
                test.average_precisions(projection),
            )
            base.append(precisions[0])
            learned.append(precisions[1])
    is_query = ~np.isnan(base).all(axis=0)
    if not is_query.any():
        raise NotEnoughData("Every pair of images with the same label is marked as not similar.")
    base_mean, learned_mean = (np.nanmean(np.array(part)[:, is_query], axis=0) for part in (base, learned))
    return CrossValidation(base_mean, learned_mean, training_set.groups[is_query])
