from __future__ import annotations

import numpy as np
import pytest
import torch

from gansfp.errors import UserError
from gansfp.forge.gan.augment import CHANCES, POLICIES, DiffAugment, color, cut, translate


def images(count=5, side=16):
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def chances(count=5, seed=1):
    return torch.rand(count, CHANCES, generator=torch.Generator().manual_seed(seed))


def test_no_policy_leaves_images_alone():
    assert torch.equal(DiffAugment([])(images(), chances()), images())


def test_translation_is_a_roll_with_zeros_for_what_came_round():
    shift = torch.tensor([[0, 0], [3, -2], [-4, 1], [2, 2], [-16, 5]])
    moved = translate(images(), shift).numpy()
    for image, found, (down, right) in zip(images().numpy(), moved, shift.tolist(), strict=True):
        wanted = np.roll(image[0], (down, right), (0, 1))
        if down:
            wanted[: down if down > 0 else None][down if down < 0 else 0 :] = 0
        if right:
            wanted[:, : right if right > 0 else None][:, right if right < 0 else 0 :] = 0
        np.testing.assert_array_equal(found[0], wanted)


def test_every_shift_up_to_an_eighth_is_as_likely():
    augment = DiffAugment(["translation"])
    single = torch.zeros(1, 1, 16, 16)
    single[0, 0, 8, 8] = 1
    grid = torch.full((500, CHANCES), 0.5)
    grid[:, 2] = torch.linspace(0, 0.9999, 500)
    rows = augment(single.expand(500, -1, -1, -1), grid).amax(dim=3).argmax(dim=2)[:, 0]
    values, counts = rows.unique(return_counts=True)
    assert values.tolist() == [6, 7, 8, 9, 10]
    assert counts.max() - counts.min() <= 1


def test_brightness_moves_the_mean_and_contrast_keeps_it():
    brightness, contrast = torch.tensor([0.0, 0.5, 0.9]), torch.tensor([0.5, 0.0, 0.75])
    before = images(3)
    after = color(before, brightness, contrast)
    shift = after.mean(dim=(1, 2, 3)) - before.mean(dim=(1, 2, 3))
    torch.testing.assert_close(shift, torch.tensor([-0.5, 0.0, 0.4]))
    spread = after.std(dim=(1, 2, 3)) / before.std(dim=(1, 2, 3))
    torch.testing.assert_close(spread, torch.tensor([1.0, 0.5, 1.25]))


def test_a_hole_is_a_square_of_zeros_cropped_at_the_border():
    corner = torch.tensor([[0, 0], [4, 6], [-3, 14], [16, 16], [8, 8]])
    found = cut(images(), corner, 8)
    for image, holed, (row, column) in zip(images(), found, corner.tolist(), strict=True):
        wanted = image.clone()
        wanted[0, max(0, row) : max(0, row + 8), max(0, column) : max(0, column + 8)] = 0
        assert torch.equal(holed, wanted)


@pytest.mark.parametrize("policy", [[name] for name in POLICIES] + [list(POLICIES)])
def test_an_image_is_augmented_by_its_own_numbers_alone(policy):
    augment = DiffAugment(policy)
    whole = augment(images(), chances())
    assert not torch.equal(whole, images())
    order = torch.tensor([4, 2, 0, 1, 3])
    torch.testing.assert_close(augment(images()[order], chances()[order]), whole[order])
    parts = [augment(images()[k : k + 1], chances()[k : k + 1]) for k in range(5)]
    torch.testing.assert_close(torch.cat(parts), whole)


@pytest.mark.parametrize("policy", [[name] for name in POLICIES])
def test_gradients_are_those_of_finite_differences(policy):
    augment = DiffAugment(policy)
    numbers = chances(2).double()
    few = images(2, 8).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augment(x, numbers), (few,))


def test_the_largest_chance_stays_inside():
    largest = torch.full((1, CHANCES), 1 - 2**-24)
    out = DiffAugment(POLICIES)(images(1), largest)
    assert out.shape == (1, 1, 16, 16)
    assert torch.isfinite(out).all()


def test_an_unknown_policy_is_refused():
    with pytest.raises(UserError, match=r"generator\.augment=rotation"):
        DiffAugment(["rotation"])
