"""White-box scores: formulas by hand, and tiny generators that know their images by heart."""

from __future__ import annotations

import copy
import math

import lightning as L
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from scipy.ndimage import gaussian_filter

from gansfp.errors import UserError
from gansfp.evaluation.ranking import auroc
from gansfp.forge.ddpm import DDPM
from gansfp.forge.gan.module import FastGAN
from gansfp.forge.generator import from_grey
from gansfp.forge.networks import write_network
from gansfp.methods.whitebox import adversarial, diffusion
from gansfp.methods.whitebox.estimator import WhiteBoxEstimator

MEMBERS, OTHERS = 6, 24
TRUTH = np.repeat([1, 0], [MEMBERS, OTHERS])


def images(side):
    """Smooth random pictures; the first MEMBERS of them are trained on."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=(MEMBERS + OTHERS, side, side)), (0, 2, 2))
    return np.clip(128 + 400 * smooth, 0, 255).astype(np.uint8)


def ddpm(**changes):
    torch.manual_seed(0)
    settings = {
        "steps": 300, "batch_size": 12, "learning_rate": 3e-3, "channels": (16, 32),
        "attention": (), "warmup_steps": 10, "sampling_steps": 4, "sample_batch_size": 4,
    }  # fmt: skip
    return DDPM(16, **(settings | changes))


def gan(**changes):
    torch.manual_seed(0)
    settings = {
        "steps": 200, "batch_size": 6, "latent": 8, "width": 8, "sample_batch_size": 4,
        "learning_rate": 2e-3, "augment": [], "redraw": 0.0, "ema_decay": 0.9,
    }  # fmt: skip
    return FastGAN(32, **(settings | changes))


def kept(module, pixels, folder):
    """Train a module on the members, and keep its network as the forge does."""
    if pixels is not None:
        module.train_on(pixels)
        L.Trainer(
            accelerator="cpu", max_steps=module.steps, max_epochs=1, default_root_dir=folder,
            logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, use_distributed_sampler=False,
        ).fit(module)  # fmt: skip
    kind = f"{type(module).__module__}.{type(module).__name__}"
    plain = {k: v for k, v in module.hparams.items() if k not in ("image_size", "seed")}
    node = {"_target_": kind, "image_size": None, "seed": None, **plain}
    write_network(folder / "networks" / "generator", module, OmegaConf.create(node))
    return str(folder / "networks" / "generator.safetensors")


@pytest.fixture(scope="module")
def known_by_heart(tmp_path_factory):
    """Give the path of a trained DDPM or GAN that knows MEMBERS images by heart; made once each."""
    made = {}

    def network(kind):
        if kind not in made:
            build, side = (ddpm, 16) if kind == "ddpm" else (gan, 32)
            made[kind] = kept(build(), images(side)[:MEMBERS], tmp_path_factory.mktemp(kind))
        return made[kind]

    return network


def test_timesteps_carry_the_noise_of_the_papers():
    linear = ddpm(schedule="linear")
    assert diffusion.timestep_at(linear, diffusion.SECMI_KEPT, 10) == 100
    assert diffusion.timestep_at(linear, diffusion.PIA_KEPT) == 200
    cosine = ddpm()
    kept = cosine.diffusion.alphas_cumprod[diffusion.timestep_at(cosine, diffusion.PIA_KEPT)]
    assert float(kept) == pytest.approx(diffusion.PIA_KEPT, abs=2e-3)


def test_a_network_that_predicts_v_gives_the_noise():
    model = ddpm()
    clean = from_grey(torch.from_numpy(images(16)[:2]))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    when = torch.tensor([300, 300])
    velocity = model.target(clean, noise, when)
    model.ema.network.forward = lambda noisy, timestep: velocity
    found = diffusion.predicted_noise(model, model.diffuse(clean, noise, when), 300)
    torch.testing.assert_close(found, noise, atol=1e-5, rtol=1e-4)


class Heart(torch.nn.Module):
    """The best possible denoiser of some images: the noise beside their posterior mean.

    What a DDPM becomes that fits its training images without bound.
    """

    def __init__(self, known, kept):
        super().__init__()
        self.known, self.kept = known.flatten(1).double(), kept.double()

    def forward(self, noisy, timestep):
        kept, flat = self.kept[timestep], noisy.flatten(1).double()
        apart = torch.cdist(flat, kept.sqrt() * self.known) ** 2
        mean = torch.softmax(-apart / (2 * (1 - kept)), dim=1) @ self.known
        noise = (flat - kept.sqrt() * mean) / (1 - kept).sqrt()
        return noise.float().reshape(noisy.shape)


@pytest.fixture(scope="module")
def heart():
    pixels = from_grey(torch.from_numpy(images(16)))
    model = ddpm(prediction="noise")
    model.ema.network = Heart(pixels[:MEMBERS], model.diffusion.alphas_cumprod)
    return model, pixels


@pytest.mark.parametrize(
    "score",
    [
        lambda model, x: diffusion.denoising_loss(model, x, [50, 100, 200, 400]),
        diffusion.secmi,
        diffusion.pia,
        lambda model, x: diffusion.pia(model, x, normalise=True),
    ],
    ids=["loss", "secmi", "pia", "pian"],
)
def test_the_best_denoiser_of_the_members_gives_them_away(heart, score):
    model, pixels = heart
    assert auroc(TRUTH, -score(model, pixels).numpy()) == 1.0


def test_formulas_by_hand():
    """A network that answers c(t) x_t, linear in the image: every score has a closed form."""
    model = ddpm(prediction="noise")
    kept = model.diffusion.alphas_cumprod.double()
    answer = 0.3 + torch.arange(1000).double() / 2000
    model.ema.network.forward = lambda noisy, timestep: answer[timestep] * noisy.double()
    x = from_grey(torch.from_numpy(images(16)[:3])).double()
    size = (x**2).flatten(1).sum(dim=1)

    def step(now, then):
        """The factor of one DDIM step from x_now to x_then."""
        clean = (1 - (1 - kept[now]).sqrt() * answer[now]) / kept[now].sqrt()
        return kept[then].sqrt() * clean + (1 - kept[then]).sqrt() * answer[now]

    there = math.prod(step(t, t + 10) for t in range(0, 100, 10))
    around = there * (step(100, 110) * step(110, 100) - 1)
    torch.testing.assert_close(diffusion.secmi(model, x, 100, 10), around**2 * size)
    mixed = kept[200].sqrt() + (1 - kept[200]).sqrt() * answer[0]
    factor = answer[0] - answer[200] * mixed
    expected = factor**4 * (x**4).flatten(1).sum(dim=1)
    torch.testing.assert_close(diffusion.pia(model, x, 200), expected)


def test_the_loss_is_the_same_noise_for_every_image_and_batch(heart):
    model, pixels = heart
    whole = diffusion.denoising_loss(model, pixels, [100, 300])
    parts = [diffusion.denoising_loss(model, part, [100, 300]) for part in pixels.split(7)]
    torch.testing.assert_close(torch.cat(parts), whole)
    other = diffusion.denoising_loss(model, pixels, [100, 300], seed=1)
    assert (other != whole).any()


def test_the_inversion_of_a_drawn_image_is_exact_and_alone():
    model = gan().eval()
    latent = torch.randn((3, 8), generator=torch.Generator().manual_seed(1))
    latent *= 8**0.5 / latent.norm(dim=1, keepdim=True)
    with torch.no_grad():
        drawn = model.ema.network(latent)
    error = adversarial.inversion_error(model, drawn, steps=60)
    start = ((drawn - drawn.flip(0)) ** 2).flatten(1).mean(dim=1)
    assert (error < 0.2 * start[0]).all()
    alone = adversarial.inversion_error(model, drawn[1:2], steps=60)
    torch.testing.assert_close(alone, error[1:2], atol=1e-4, rtol=0.05)


@pytest.mark.parametrize(
    ("kind", "score"),
    [
        ("ddpm", "loss"),
        ("ddpm", "secmi"),
        pytest.param("gan", "discriminator", marks=pytest.mark.slow),
        pytest.param("gan", "inversion", marks=pytest.mark.slow),
    ],
)
def test_the_ceiling_separates_members_of_a_generator_that_knows_them(
    known_by_heart, tmp_path, kind, score
):
    build, side = (ddpm, 16) if kind == "ddpm" else (gan, 32)
    pixels = images(side)
    found = WhiteBoxEstimator(known_by_heart(kind), score, steps=60).score_images(pixels)
    assert auroc(TRUTH, found) > 0.9
    blind = WhiteBoxEstimator(kept(build(), None, tmp_path), score, steps=20)
    # Chance of 6 against 24: the standard error is 0.13.
    assert 0.24 < auroc(TRUTH, blind.score_images(pixels)) < 0.76


def test_the_method_saves_its_options(known_by_heart, tmp_path):
    method = WhiteBoxEstimator(known_by_heart("ddpm"), "secmi", batch_size=5)
    scores = method.score_images(images(16))
    method.save(tmp_path)
    again = WhiteBoxEstimator.load(tmp_path)
    np.testing.assert_array_equal(again.score_images(images(16)), scores)


@pytest.mark.parametrize("score", [diffusion.secmi, diffusion.pia])
def test_a_statistic_does_not_depend_on_the_batch(score, known_by_heart):
    """In float64: the statistics are powers of small differences, where float32 cancels."""
    model = copy.deepcopy(WhiteBoxEstimator(known_by_heart("ddpm"), "secmi").model).double()
    pixels = from_grey(torch.from_numpy(images(16))).double()
    whole = score(model, pixels)
    parts = torch.cat([score(model, part) for part in pixels.split(5)])
    torch.testing.assert_close(parts, whole, rtol=1e-8, atol=0)


def test_a_score_of_the_other_kind_is_refused(known_by_heart, tmp_path):
    with pytest.raises(UserError, match=r"score=secmi: of a DDPM, and .* is a FastGAN"):
        WhiteBoxEstimator(kept(gan(), None, tmp_path), "secmi").score_images(images(32))
    late = WhiteBoxEstimator(known_by_heart("ddpm"), "loss", timesteps=[1000])
    with pytest.raises(UserError, match="asks for timestep 1000"):
        late.score_images(images(16))
    with pytest.raises(UserError, match="a multiple of interval=10"):
        WhiteBoxEstimator("x", "secmi", timestep=15)
    with pytest.raises(UserError, match="choose loss"):
        WhiteBoxEstimator("x", "guess")
