"""Means over replicas, and their errors, where several runs share the replicas of a point out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class Moments:
    """Number, mean and sum of squares about it, for each of many points (Chan, Golub and LeVeque's update).

    Runs weigh as much as they have replicas. Where a run knows nothing but its mean, that has no error.

    Parameters
    ----------
    shape : tuple of int
        Points first.
    dtype : optional
        Of the mean.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any = float) -> None:
        self.number = np.zeros(shape[0], np.int64)
        self.mean, self.squares = np.full(shape, np.nan, dtype), np.full(shape, np.nan)

    def add(self, places: Any, values: np.ndarray, inner: Sequence[np.ndarray] = ()) -> None:
        """Take in values (run, replica, ...), each run at a place of its own.

        Parameters
        ----------
        inner : sequence of array
            Where the values stand along each further dimension; all of it by default.
        """
        mean = values.mean(axis=1)
        self._take(places, mean, ((values - mean[:, None]) ** 2).sum(axis=1), values.shape[1], inner)

    def add_means(self, places: Any, means: np.ndarray, replicas: int, inner: Sequence[np.ndarray] = ()) -> None:
        """Take in means (run, ...) over so many replicas each."""
        self._take(places, means, np.full(means.shape, np.nan), replicas, inner)

    def _take(
        self, places: Any, mean: np.ndarray, squares: np.ndarray, number: int, inner: Sequence[np.ndarray]
    ) -> None:
        where = np.ix_(places, *(inner or map(np.arange, mean.shape[1:])))
        before = self.number[places].reshape(-1, *[1] * (mean.ndim - 1))
        old, total = self.mean[where], number + before
        shift = np.where(before, mean - old, 0.0)
        spread = np.abs(shift) ** 2 * before * number / total
        self.squares[where] = np.where(before, self.squares[where], 0.0) + squares + spread
        self.mean[where] = np.where(before, old + shift * number / total, mean)
        self.number[places] += number

    def error(self) -> np.ndarray:
        """Give the standard error of the mean; NaN for one replica, and where only means are known."""
        number = self.number.reshape(-1, *[1] * (self.mean.ndim - 1))
        alone = number < 2
        return np.where(alone, np.nan, np.sqrt(self.squares / np.where(alone, 1, number - 1) / np.maximum(number, 1)))
