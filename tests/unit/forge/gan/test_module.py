from __future__ import annotations

from types import SimpleNamespace

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.plugins import TorchCheckpointIO
from tests.unit.forge.conftest import KillAfter, Killed

from gansfp.errors import UserError
from gansfp.forge.ema import ema_decay
from gansfp.forge.gan.discriminator import hinge_loss
from gansfp.forge.gan.module import FastGAN
from gansfp.forge.graphs import StepGraph
from gansfp.runtime.checkpoints import AtomicCheckpointIO


def tiny(**changes):
    torch.manual_seed(0)
    settings = {"steps": 9, "batch_size": 4, "latent": 8, "width": 4, "sample_batch_size": 4}
    return FastGAN(32, **(settings | changes))


def images(count=6):
    y, x = np.mgrid[:32, :32] / 31
    phases = np.arange(count)[:, None, None] / count
    return (127 + 100 * np.sin(6.3 * (x + phases)) * np.cos(3 * y)).astype(np.uint8)


class Watch(L.Callback):
    """Notes the step count, and the steps that each Adam has made, after each batch."""

    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        made = [int(next(iter(o.state.values()))["step"]) for o in trainer.optimizers]
        self.seen.append((trainer.global_step, *made))


def fit(module, folder, callbacks=None, checkpoint=None, **options):
    module.train_on(images())
    trainer = L.Trainer(
        callbacks=callbacks,
        accelerator="cpu",
        max_steps=module.steps,
        max_epochs=1,
        default_root_dir=folder,
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **options,
    )
    trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
    return trainer


def same(left, right):
    left, right = left.state_dict(), right.state_dict()
    assert left.keys() == right.keys()
    return all(torch.equal(left[key], right[key]) for key in left)


def test_both_networks_move_and_it_counts_as_one_step(tmp_path):
    watch = Watch()
    fit(tiny(steps=4), tmp_path, [watch])
    assert watch.seen == [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)]


@pytest.mark.parametrize("moment", [1, 5])
def test_a_stopped_fit_resumes_to_the_same_bits(tmp_path, moment):
    whole, first = tiny(flip=True), tiny(flip=True)
    fit(whole, tmp_path)
    part = tmp_path / "part.ckpt"
    with pytest.raises(Killed):
        fit(first, tmp_path, [KillAfter(moment, part)])
    stored = TorchCheckpointIO().load_checkpoint(part, weights_only=True)
    assert len(stored["optimizer_states"]) == 2
    second = tiny(flip=True)
    torch.manual_seed(99)  # a new process has other random numbers
    rest = fit(second, tmp_path, checkpoint=part)
    assert rest.global_step == 9
    assert same(whole, second)
    assert second.fit_seconds > 0


def test_a_step_by_hand(tmp_path):
    """Plain PyTorch, without Lightning and autograd.grad, comes to the same weights."""
    module, plain = tiny(steps=2, redraw=0.5), tiny(steps=2, redraw=0.5)
    fit(module, tmp_path, precision="64-true")  # Adam turns rounding errors into steps
    drawing, judging = plain.double().generator, plain.discriminator
    adams = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.99)) for n in (drawing, judging)]
    average = [p.detach().clone() for p in drawing.parameters()]
    for step in range(2):
        rows = torch.from_numpy(plain.plan(6).batch(0, step)["row"])
        real = (torch.from_numpy(images())[rows, None] / 127.5 - 1).double()
        latent, chances, quarter, _ = plain.draws(step, torch.arange(4))
        latent, chances = latent.double(), chances.double()
        real = plain.augment(real, chances[:, 1])
        judging.zero_grad()
        drawn = plain.augment(drawing(latent), chances[:, 0])
        scores, middle, last = judging(real)
        loss = hinge_loss(scores, judging(drawn.detach())[0])
        (loss + 0.5 * judging.redraw_loss(real, middle, last, quarter)).backward()
        adams[1].step()
        drawing.zero_grad()
        (-judging(drawn)[0].mean()).backward()
        adams[0].step()
        decay = ema_decay(step, 0.999)
        average = [decay * a + (1 - decay) * p for a, p in zip(average, drawing.parameters(),
                                                               strict=True)]  # fmt: skip
    for name in ("generator", "discriminator"):
        pairs = zip(getattr(module, name).parameters(), getattr(plain, name).parameters(),
                    strict=True)  # fmt: skip
        for found, wanted in pairs:
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-9)
    for found, wanted in zip(module.ema.network.parameters(), average, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-9)


def test_chance_is_a_function_of_seed_step_and_position():
    module = tiny()
    whole = module.draws(7, torch.arange(4))
    assert all(map(torch.equal, whole, module.draws(7, torch.arange(4))))
    assert not torch.equal(whole.latent, module.draws(8, torch.arange(4)).latent)
    assert not torch.equal(whole.latent, tiny(seed=1).draws(7, torch.arange(4)).latent)
    for rank in (0, 1):  # two processes draw what one would
        share = module.draws(7, torch.arange(4)[rank::2])
        assert all(
            torch.equal(part, full[rank::2]) for part, full in zip(share, whole, strict=True)
        )


def test_half_precision_sees_the_discriminator_of_this_step(tmp_path):
    """Autocast must not hand the generator the weights from before the update."""
    module = tiny(steps=1, learning_rate=0.05)
    seen = []
    original = module.discriminator.head[-1].forward

    def spy(features):
        out = original(features)
        weight, bias = module.discriminator.head[-1].weight, module.discriminator.head[-1].bias
        again = torch.nn.functional.conv2d(
            features.bfloat16(), weight.detach().bfloat16(), bias.detach().bfloat16()
        )
        seen.append((out.detach() - again.detach()).abs().max().item())
        return out

    module.discriminator.head[-1].forward = spy
    fit(module, tmp_path, precision="bf16-mixed")
    assert len(seen) == 2
    assert max(seen) == 0
    assert all(p.dtype == torch.float32 for p in module.parameters())


def test_a_trainer_that_cannot_fit_it_is_refused():
    trainer = SimpleNamespace(precision="16-mixed")
    with pytest.raises(UserError, match=r"trainer\.precision=16-mixed"):
        tiny().check_trainer(trainer)
    with pytest.raises(UserError, match=r"accumulate_grad_batches"):
        tiny().check_trainer(L.Trainer(accelerator="cpu", accumulate_grad_batches=2, logger=False))
    trainer = SimpleNamespace(precision="32-true", accumulate_grad_batches=1, world_size=3)
    with pytest.raises(UserError, match=r"generator\.batch_size=4.*multiple of the 3"):
        tiny().check_trainer(trainer)


def test_a_cuda_graph_is_left_out_without_a_gpu(tmp_path):
    module = tiny(steps=2)
    fit(module, tmp_path)
    assert module.cuda_graph
    assert not module.records
    graph = StepGraph(lambda x: (x + 1,))
    assert graph(torch.ones(2))[0].tolist() == [2, 2]
    assert graph._graph is None


def test_samples_depend_on_seed_and_number_alone():
    module = tiny().eval()
    ten = module.sample(10, seed=1)
    assert ten.shape == (10, 32, 32)
    assert ten.dtype == np.uint8
    np.testing.assert_array_equal(module.sample(3, seed=1), ten[:3])
    np.testing.assert_array_equal(module.sample(5, seed=1, start=3), ten[3:8])
    assert not np.array_equal(module.sample(3, seed=2), ten[:3])
    assert len({image.tobytes() for image in ten}) == 10


def test_the_default_network_has_the_size_that_the_config_names():
    module = FastGAN(64)
    assert sum(p.numel() for p in module.parameters() if p.requires_grad) == 5_998_852


def test_mistakes_name_the_key():
    for key in ("steps", "width", "latent", "batch_size"):
        with pytest.raises(UserError, match=rf"generator\.{key}=0"):
            tiny(**{key: 0})
    with pytest.raises(UserError, match=r"generator\.augment=blur"):
        tiny(augment=["blur"])
