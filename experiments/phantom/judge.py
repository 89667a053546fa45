"""How far are phantoms from real slices? Distances, spectra, grey levels and two classifiers.

python experiments/phantom/judge.py real=DIR [size=64] [seed=0]
"""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import nn

from gansfp.data.sources.folder import FolderSource
from gansfp.data.sources.phantom import PhantomSource
from gansfp.data.sources.shaping import resize_square


def nearest(images):
    """Root mean square distance in grey levels of each image to its nearest other one."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    square = (flat**2).sum(1)
    distance = square[:, None] + square - 2 * flat @ flat.T
    np.fill_diagonal(distance, np.inf)
    return np.sqrt(np.maximum(distance.min(1), 0) / flat.shape[1])


def spectrum(images, bands=(1, 4, 8, 12, 16, 24, 32)):
    """Mean power in rings of frequency, cycles a field of view."""
    side = images.shape[1]
    hann = np.hanning(side)
    power = (np.abs(np.fft.fft2(images * hann[:, None] * hann)) ** 2).mean(0)
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side, 1 / side)] * 2))
    return np.array([power[(k >= a) & (k < b)].mean() for a, b in pairwise(bands)])


def network():
    """Four layers of convolution and a mean: 120 thousand weights."""
    layers, before = [], 1
    for width in (24, 48, 96, 96):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.MaxPool2d(2)]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 1))


def cnn_scores(train, labels, test, seed, epochs=25):
    """Train on one half, mirrored at random; score the other."""
    torch.manual_seed(seed)
    x, y = (torch.tensor(a, dtype=torch.float32) for a in (train[:, None] / 128 - 1, labels))
    model = network()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=1e-2)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(32):
            batch = x[rows].flip(3) if torch.rand(1) < 0.5 else x[rows]
            loss = nn.functional.binary_cross_entropy_with_logits(model(batch)[:, 0], y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    model.eval()
    with torch.no_grad():
        return model(torch.tensor(test[:, None] / 128 - 1, dtype=torch.float32))[:, 0].numpy()


def main(real, size="64", seed="0"):
    """Print the tables of README.md."""
    size, seed = int(size), int(seed)
    slices = FolderSource(real, resize=size).read().pixels
    phantoms = PhantomSource(len(slices), image_size=size, seed=seed).read().pixels
    for name, images in (("real", slices), ("phantom", phantoms)):
        d1 = nearest(images)
        quantiles = np.quantile(d1, [0.05, 0.25, 0.5, 0.75, 0.95]).round(1)
        print(f"{name:8s} d_1 mean {d1.mean():.1f} sd {d1.std():.1f} quantiles {quantiles}")
    power = spectrum(phantoms.astype(float)) / spectrum(slices.astype(float))
    print("power, phantom over real:", power.round(2))
    edges = [0, 16, 32, 48, 96, 160, 176, 192, 208, 256]
    for name, images in (("real", slices), ("phantom", phantoms)):
        print(
            f"{name:8s} grey levels, %:",
            (np.histogram(images, edges)[0] / images.size * 100).round(1),
        )
    both = np.concatenate([slices, phantoms])
    labels = np.repeat([0.0, 1.0], len(slices))
    order = np.random.default_rng(seed).permutation(len(both))
    train, test = order[::2], order[1::2]
    for side in sorted({8, 16, size}):
        small = np.stack([resize_square(image, side) for image in both])
        scores = cnn_scores(small[train], labels[train], small[test], seed) if side >= 16 else None
        flat = small.reshape(len(small), -1) / 255
        linear = LogisticRegression(C=0.1, max_iter=2000).fit(flat[train], labels[train])
        auc = roc_auc_score(labels[test], linear.decision_function(flat[test]))
        text = f"{side}x{side}: AUC of logistic regression {auc:.3f}"
        print(text if scores is None else f"{text}, CNN {roc_auc_score(labels[test], scores):.3f}")


if __name__ == "__main__":
    main(**dict(argument.split("=", 1) for argument in sys.argv[1:]))
