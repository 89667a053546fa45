from __future__ import annotations

import lightning as L
import numpy as np
import pytest
import torch
from tests.unit.forge.conftest import KillAfter, Killed

from gansfp.errors import UserError
from gansfp.forge import ddpm
from gansfp.forge.ddpm import DDPM
from gansfp.forge.ema import EMA, ema_decay
from gansfp.forge.generator import from_grey, to_grey
from gansfp.forge.gradients import give_gradients
from gansfp.runtime.checkpoints import AtomicCheckpointIO


def tiny(**changes):
    torch.manual_seed(0)
    settings = {
        "steps": 20,
        "batch_size": 4,
        "channels": (8, 16),
        "attention": (),
        "warmup_steps": 3,
        "sampling_steps": 4,
        "sample_batch_size": 4,
    }
    return DDPM(16, **(settings | changes))


def trainer(steps, folder, callbacks=None):
    return L.Trainer(
        callbacks=callbacks,
        accelerator="cpu",
        max_steps=steps,
        max_epochs=1,
        default_root_dir=folder,
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def images(count=6):
    y, x = np.mgrid[:16, :16] / 15
    phases = np.arange(count)[:, None, None] / count
    return (127 + 100 * np.sin(6.3 * (x + phases)) * np.cos(3 * y)).astype(np.uint8)


def test_forward_process_has_the_moments_of_the_paper():
    module = tiny()
    betas = []  # Nichol & Dhariwal, 2021, eq. 17: abar(t) = f(t)/f(0), beta clipped at 0.999
    level = [np.cos((k / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2 for k in range(1001)]
    betas = np.minimum(1 - np.array(level[1:]) / np.array(level[:-1]), 0.999)
    abar = np.cumprod(1 - betas)
    noise = torch.randn(4000, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    for t in (0, 250, 500, 900):
        clean = torch.full((4000, 1, 1, 1), 0.7)
        noisy = module.diffuse(clean, noise, torch.full((4000,), t))
        expected = np.sqrt(abar[t]) * clean + np.sqrt(1 - abar[t]) * noise
        torch.testing.assert_close(noisy, expected.float(), rtol=1e-4, atol=1e-5)
        assert noisy.mean() == pytest.approx(np.sqrt(abar[t]) * 0.7, abs=0.06)
        assert noisy.var() == pytest.approx(1 - abar[t], rel=0.08)


def test_decay_of_the_average_ramps_up():
    assert ema_decay(0, 0.999) == 0.1
    assert ema_decay(90, 0.999) == 91 / 100
    assert ema_decay(10**6, 0.999) == 0.999


def test_average_follows_its_formula_and_is_not_trained():
    network = torch.nn.Linear(2, 2)
    ema = EMA(network, 0.5)
    expected = network.weight.detach().clone()
    for step in range(12):
        with torch.no_grad():
            network.weight += 1
        ema.update(network, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * network.weight.detach()
    torch.testing.assert_close(ema.network.weight, expected)
    assert not ema.network.weight.requires_grad
    assert not ema.train().network.training


def test_grey_levels_survive_the_way_there_and_back():
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    assert from_grey(levels).min() == -1
    assert from_grey(levels).max() == 1
    assert torch.equal(to_grey(from_grey(levels)[:, 0]), levels)
    assert to_grey(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


def test_chance_is_a_function_of_seed_step_and_position():
    module = tiny()
    whole = module.draws(7, torch.arange(4))
    again = module.draws(7, torch.arange(4))
    other = module.draws(8, torch.arange(4))
    assert all(map(torch.equal, whole, again))
    assert not torch.equal(whole[0], other[0])
    # Two processes draw what one would.
    for rank in (0, 1):
        share = module.draws(7, torch.arange(4)[rank::2])
        assert all(
            torch.equal(part, full[rank::2]) for part, full in zip(share, whole, strict=True)
        )


def test_a_stopped_fit_resumes_to_the_same_bits(tmp_path):
    whole = tiny()
    whole.train_on(images())
    trainer(20, tmp_path).fit(whole)
    first = tiny()
    first.train_on(images())
    with pytest.raises(Killed):
        trainer(20, tmp_path, [KillAfter(7, tmp_path / "part.ckpt")]).fit(first)
    torch.manual_seed(99)  # a new process has other random numbers
    second = tiny()
    second.train_on(images())
    rest = trainer(20, tmp_path)
    rest.fit(second, ckpt_path=tmp_path / "part.ckpt", weights_only=True)
    assert rest.global_step == 20
    wanted, found = whole.state_dict(), second.state_dict()
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[key], found[key]) for key in wanted)
    assert second.fit_seconds > 0


def test_it_learns(tmp_path):
    module = tiny(steps=150, batch_size=16, learning_rate=5e-3, warmup_steps=10)
    module.train_on(images())
    trainer(150, tmp_path).fit(module)
    assert module.last_loss < 0.45  # 1 is what knowing nothing costs


def test_samples_depend_on_seed_and_number_alone():
    module = tiny().eval()
    ten = module.sample(10, seed=1)
    assert ten.shape == (10, 16, 16)
    assert ten.dtype == np.uint8
    np.testing.assert_array_equal(module.sample(3, seed=1), ten[:3])
    np.testing.assert_array_equal(module.sample(5, seed=1, start=3), ten[3:8])
    assert not np.array_equal(module.sample(3, seed=2), ten[:3])
    assert len({image.tobytes() for image in ten}) == 10
    assert module.sample(0, seed=1).shape == (0, 16, 16)


def test_the_default_network_has_the_size_that_the_config_names():
    module = DDPM(64)
    assert sum(p.numel() for p in module.network.parameters()) == 15_139_521


def test_mistakes_name_the_key():
    with pytest.raises(UserError, match=r"generator\.schedule=cosine"):
        tiny(schedule="cosine")
    with pytest.raises(UserError, match="multiple of 4"):
        DDPM(18, channels=(8, 16, 16))
    with pytest.raises(UserError, match=r"generator\.steps=0"):
        tiny(steps=0)
    with pytest.raises(UserError, match=r"generator\.sampling_steps"):
        tiny(sampling_steps=2000)


def test_what_the_network_predicts_by_hand():
    clean = torch.full((1, 1, 2, 2), 0.7)
    noise = torch.full((1, 1, 2, 2), -0.4)
    module = tiny(prediction="v")
    abar = module.diffusion.alphas_cumprod[500]
    by_hand = abar.sqrt() * noise - (1 - abar).sqrt() * clean
    timestep = torch.tensor([500])
    torch.testing.assert_close(module.target(clean, noise, timestep), by_hand)
    assert torch.equal(tiny(prediction="noise").target(clean, noise, timestep), noise)


@pytest.mark.parametrize("prediction", ["noise", "v"])
def test_a_perfect_network_gives_the_image_back(prediction):
    """DDIM with the true prediction at every step ends at the only image there is."""
    module = tiny(prediction=prediction, sampling_steps=20)
    clean = torch.linspace(-0.9, 0.9, 256).reshape(1, 1, 16, 16)

    def oracle(noisy, timestep):
        abar = module.diffusion.alphas_cumprod[int(timestep)]
        noise = (noisy - abar.sqrt() * clean) / (1 - abar).sqrt()
        return noise if prediction == "noise" else abar.sqrt() * noise - (1 - abar).sqrt() * clean

    module.ema.network.forward = oracle
    drawn = module.sample_block(0, seed=1).float()
    expected = (clean[0, 0] + 1) * 127.5
    assert (drawn - expected).abs().max() <= (1 if prediction == "v" else 2)


def test_gradients_found_apart_train_to_the_same_bits(tmp_path, monkeypatch):
    """The way that a CUDA graph takes, without the graph."""
    usual, apart = tiny(steps=6), tiny(steps=6)
    usual.train_on(images())
    trainer(6, tmp_path).fit(usual)
    assert not usual.records  # there is no GPU here
    monkeypatch.setattr(DDPM, "records", True)
    apart.train_on(images())
    given = []
    monkeypatch.setattr(ddpm, "give_gradients", lambda *pair: given.append(give_gradients(*pair)))
    trainer(6, tmp_path).fit(apart)
    assert len(given) == 6
    wanted, found = usual.state_dict(), apart.state_dict()
    assert all(torch.equal(wanted[key], found[key]) for key in wanted)


def test_an_unknown_prediction_is_refused():
    with pytest.raises(UserError, match=r"generator.prediction=x0"):
        tiny(prediction="x0")
