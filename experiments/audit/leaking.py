"""Writes the folders of docs/audit.md: phantoms, of whom 20 are copied into the synthetic set.

python experiments/audit/leaking.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np

from gansfp.audit.planted import perturbed
from gansfp.data.sources.phantom import PhantomSource
from gansfp.data.writing import write_images

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "leaking")
    pixels = PhantomSource(patients=1200, seed=5).read().pixels
    used, not_used, others = np.split(pixels, [200, 800])
    write_images(folder / "used", "used", used)
    write_images(folder / "not_used", "not_used", not_used)
    copies = perturbed(used[:20], np.random.default_rng(0))
    synthetic = np.concatenate([others, copies])
    order = np.random.default_rng(1).permutation(len(synthetic))
    write_images(folder / "synthetic", "generated", synthetic[order])
