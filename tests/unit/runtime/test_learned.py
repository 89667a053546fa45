"""What a Trainer predicts, in one tensor."""

from __future__ import annotations

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from gansfp.runtime.learned import _Outputs


class Doubled(L.LightningModule):
    def predict_step(self, batch, batch_idx):
        return (2 * batch).to(torch.bfloat16)


def predicted(images, count):
    outputs = _Outputs(count)
    trainer = L.Trainer(
        accelerator="cpu",
        callbacks=[outputs],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.predict(Doubled(), DataLoader(images, batch_size=4), return_predictions=False)
    return outputs.values()


def test_outputs_are_those_of_all_batches_in_order():
    images = torch.randn(10, 3)
    found = predicted(images, 10)
    assert found.dtype == torch.float32
    assert torch.equal(found, (2 * images).to(torch.bfloat16).float())


def test_missing_outputs_are_an_error():
    with pytest.raises(RuntimeError, match="6 outputs of 7 images"):
        predicted(torch.randn(6, 3), 7)
