"""The Fréchet distance of two collections of images, by features of them (Heusel et al. 2017)."""

import numpy as np


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Of Gaussians with the means and covariances of rows (n, F) and (m, F)."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * cross)
