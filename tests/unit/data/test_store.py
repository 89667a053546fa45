from __future__ import annotations

import numpy as np
import pytest
import torch

from gansfp.data.store import ImageStore

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 4, 5), dtype=np.uint8)


@pytest.mark.parametrize("rows", [np.array([8, 0, 0, 3]), torch.tensor([8, 0, 0, 3])])
def test_gather(rows: object) -> None:
    images = ImageStore(PIXELS.copy()).gather(rows, "cpu")
    assert images.dtype == torch.uint8
    np.testing.assert_array_equal(images.numpy(), PIXELS[[8, 0, 0, 3]])


def test_gather_from_a_memory_map(tmp_path) -> None:
    np.save(tmp_path / "pixels.npy", PIXELS)
    store = ImageStore(np.load(tmp_path / "pixels.npy", mmap_mode="c"))
    np.testing.assert_array_equal(store.gather(np.array([5]), "cpu").numpy(), PIXELS[[5]])


def test_gathered_images_are_a_copy() -> None:
    store = ImageStore(PIXELS.copy())
    store.gather(np.array([2]), "cpu").zero_()
    np.testing.assert_array_equal(store.pixels, PIXELS)


@pytest.mark.parametrize("fits", [True, False])
def test_another_device_gets_one_copy_or_the_rows(
    fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ImageStore(PIXELS.copy())
    asked = []
    monkeypatch.setattr(store, "_fits", lambda device: asked.append(device) or fits)
    for _ in range(3):
        images = store.gather(np.array([1, 2]), "meta")
        assert images.device.type == "meta"
        assert images.shape == (2, 4, 5)
    assert len(asked) == 1
    assert (store._resident[torch.device("meta")] is not None) == fits


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("fits", [True, False])
def test_gather_on_a_gpu(fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ImageStore(PIXELS.copy())
    monkeypatch.setattr(store, "_fits", lambda device: fits)
    rows = torch.tensor([8, 0, 3])
    for given in (rows, rows.cuda()):
        images = store.gather(given, "cuda")
        assert images.is_cuda
        np.testing.assert_array_equal(images.cpu().numpy(), PIXELS[[8, 0, 3]])


def test_wrong_arrays_are_refused() -> None:
    for wrong in (PIXELS[0], PIXELS.astype(np.float32)):
        with pytest.raises(ValueError, match="expected uint8"):
            ImageStore(wrong)
