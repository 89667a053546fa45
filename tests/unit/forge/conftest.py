from __future__ import annotations

import lightning as L
import numpy as np
import pytest
from omegaconf import OmegaConf
from toy_anatomy import draw_patients, draw_slices, render

from gansfp.data.writing import write_csv, write_images


class Killed(BaseException):
    pass


class KillAfter(L.Callback):
    """Saves a checkpoint after a step, and dies."""

    def __init__(self, step, path):
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
            raise Killed


@pytest.fixture(scope="session")
def patients(tmp_path_factory):
    """A folder of 24 toy slices of 16 patients, 16x16, with groups.csv."""
    folder = tmp_path_factory.mktemp("patients")
    rng = np.random.default_rng(0)
    owner = np.r_[np.arange(16), np.arange(8)]
    images = render(draw_slices(draw_patients(16, rng), owner, rng), 16, rng)
    names = write_images(folder, "slice", images)
    write_csv(folder / "groups.csv", ("file", "group"), zip(names, owner, strict=True))
    return folder


@pytest.fixture
def config(patients, tmp_path):
    """What `gansfp forge generator=ddpm_debug trainer=cpu` composes, in small."""
    return OmegaConf.create(
        {
            "command": "forge",
            "trust": [],
            "source": {
                "_target_": "gansfp.data.sources.folder.FolderSource",
                "path": str(patients),
            },
            "generator": {
                "_target_": "gansfp.forge.ddpm.DDPM",
                "image_size": None,
                "steps": 12,
                "batch_size": 4,
                "channels": [8, 16],
                "attention": [],
                "warmup_steps": 3,
                "sampling_steps": 3,
                "sample_batch_size": 8,
                "seed": None,
            },
            "benchmark": {
                "_target_": "gansfp.forge.benchmarks.membership.MembershipBenchmark",
                "generated_train": 12,
                "generated_test": 8,
            },
            "card": {"kid": False},
            "trainer": {
                "_target_": "lightning.Trainer",
                "accelerator": "cpu",
                "devices": 1,
                "num_nodes": 1,
                "max_epochs": 50,
                "max_steps": -1,
                "enable_progress_bar": False,
                "enable_model_summary": False,
                "use_distributed_sampler": False,
                "num_sanity_val_steps": 0,
            },
            "callbacks": {
                "resume": {
                    "_target_": "gansfp.runtime.checkpoints.ResumeCheckpoint",
                    "every_n_steps": 5,
                    "every_seconds": 0,
                }
            },
            "output": str(tmp_path / "forged"),
            "again": None,
            "seed": 0,
            "force": False,
            "worker": None,
            "keep_networks": False,
        }
    )
