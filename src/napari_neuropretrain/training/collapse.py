"""Signs that a backbone says the same of everyone."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def feature_spread(features: Tensor) -> float:
    """Return how far normalised features (N, C) spread; 0 is collapse.

    Deviation of each channel, after every vector was given length 1, times the root
    of C: near 1 where directions are random (Chen and He 2021, "Exploring simple
    Siamese representation learning", section 4.1).

    Examples
    --------
    >>> feature_spread(torch.ones(5, 3))
    0.0
    """
    directions = functional.normalize(features, dim=1)
    deviations = directions.std(dim=0, correction=0)
    return float(deviations.mean() * features.shape[1] ** 0.5)


def feature_rank(features: Tensor) -> float:
    """Return the effective rank of centred features (N, C); near 1 is collapse.

    The exponential of the entropy of the singular values (Garrido et al. 2023,
    "RankMe"); at most the smaller of N - 1 and C.

    Examples
    --------
    >>> round(feature_rank(torch.eye(4)), 3)
    3.0
    """
    values = torch.linalg.svdvals(features - features.mean(dim=0))
    shares = values / values.sum().clamp(min=1e-12)
    entropy = -(shares * shares.clamp(min=1e-12).log()).sum()
    return float(entropy.exp())
