from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from gansfp.errors import UserError
from gansfp.forge.gan.discriminator import Discriminator, DownBlock, hinge_loss, quarter_of
from gansfp.forge.gan.network import (
    GatedConvolution,
    Generator,
    SkipExcitation,
    UpBlock,
    channels_at,
)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_skip_excitation_by_the_formula_of_the_paper():
    block = SkipExcitation(3, 5, side=8)
    low, high = torch.randn(2, 3, 8, 8), torch.randn(2, 5, 64, 64)
    pooled = low.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(-1, -2))
    four, one = block.gate[1].weight, block.gate[3].weight
    hidden = torch.einsum("bihw,oihw->bo", pooled, four)
    swish = hidden / (1 + torch.exp(-hidden))
    gate = 1 / (1 + torch.exp(-(swish @ one[:, :, 0, 0].T)))
    torch.testing.assert_close(block(low, high), gate[:, :, None, None] * high)


def test_a_gated_convolution_is_a_glu_of_the_normed_convolution():
    block = GatedConvolution(4, 8)
    features = torch.randn(2, 4, 6, 6)
    plain = functional.conv2d(features, block[0].weight, padding=1)
    groups = plain.reshape(2, 8, 2, 6, 6)
    mean = groups.mean(dim=(2, 3, 4), keepdim=True)
    variance = groups.var(dim=(2, 3, 4), keepdim=True, unbiased=False)
    normed = ((groups - mean) / (variance + 1e-5).sqrt()).reshape(2, 16, 6, 6)
    left, right = normed[:, :8], normed[:, 8:]
    wanted = left * torch.sigmoid(right)
    torch.testing.assert_close(block(features), wanted, rtol=1e-4, atol=1e-5)


def test_an_up_block_doubles_every_pixel_first():
    block = UpBlock(4, 8, layers=1)
    features = torch.randn(2, 4, 3, 3)
    doubled = features.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(block(features), block[1](doubled))


def test_a_down_block_is_the_mean_of_two_ways():
    block = DownBlock(4, 8)
    features = torch.randn(2, 4, 8, 8)
    wanted = (block.main(features) + block.short(features)) / 2
    torch.testing.assert_close(block(features), wanted)
    assert wanted.shape == (2, 8, 4, 4)


def test_hinge_loss_by_hand():
    real, drawn = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 0.25])
    assert hinge_loss(real, drawn) == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1 + 1.25) / 3)
    assert hinge_loss(torch.zeros(4), torch.zeros(4)) == 2
    assert hinge_loss(torch.ones(4), -torch.ones(4)) == 0


def test_quarters_are_cut_out_in_reading_order():
    maps = torch.arange(32.0).reshape(2, 1, 4, 4).repeat(2, 1, 1, 1)
    found = quarter_of(maps, torch.tensor([0, 1, 2, 3]))
    wanted = [maps[0, :, :2, :2], maps[1, :, :2, 2:], maps[2, :, 2:, :2], maps[3, :, 2:, 2:]]
    assert torch.equal(found, torch.stack(wanted))


@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_sizes(side):
    generator, discriminator = Generator(side, 8, 4), Discriminator(side, 4)
    images = generator(torch.randn(2, 8))
    assert images.shape == (2, 1, side, side)
    assert images.abs().max() <= 1
    scores, middle, last = discriminator(images)
    assert scores.shape == (2, 25)
    assert middle.shape[2:] == (16, 16)
    assert last.shape[2:] == (8, 8)
    loss = discriminator.redraw_loss(images, middle, last, torch.tensor([0, 3]))
    assert loss.isfinite()
    assert discriminator.whole(last).shape[-1] == min(side // 2, 64)


def test_gates_reach_from_a_map_to_one_eight_times_larger():
    assert list(Generator(128, 8, 4).gates) == ["32", "64", "128"]
    assert [channels_at(side, 48) for side in (4, 16, 32, 64, 128, 256)] == [
        192, 192, 96, 48, 24, 12
    ]  # fmt: skip


def test_an_image_does_not_hang_on_its_neighbours():
    generator, discriminator = Generator(32, 8, 4), Discriminator(32, 4)
    latent = torch.randn(6, 8)
    whole = generator(latent)
    torch.testing.assert_close(generator(latent[2:3]), whole[2:3])
    torch.testing.assert_close(discriminator(whole[2:3])[0], discriminator(whole)[0][2:3])
    # Only the direction of a latent vector counts.
    torch.testing.assert_close(generator(3 * latent), whole)


def test_other_sizes_are_refused():
    with pytest.raises(UserError, match=r"48 pixels.*source\.resize"):
        Generator(48, 8, 4)
    with pytest.raises(UserError, match="16 pixels"):
        Discriminator(16, 4)
