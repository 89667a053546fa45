"""Backbones get the weights that were asked for, and say what to do when there are none."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image

from gansfp.errors import UserError
from gansfp.features import hub
from gansfp.features.backbones import BackboneSpec, build_model, load_backbone
from gansfp.features.cpu import keep_small_buffers, tune_allocator
from gansfp.features.lite import LITE_BACKBONES, lite_state_dict

SMALL = "mobilenetv3_small_050"


@pytest.mark.parametrize(("name", "size"), list(zip(LITE_BACKBONES, (224, 240, 260), strict=True)))
def test_lite_weights_fill_every_entry(name: str, size: int) -> None:
    model = timm.create_model(name)
    result = model.load_state_dict(lite_state_dict(name, model), strict=False)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    assert model.pretrained_cfg["input_size"] == (3, size, size)
    assert model.pretrained_cfg["mean"] == model.pretrained_cfg["std"] == (0.5, 0.5, 0.5)


def test_lite_weights_are_those_of_imagenet() -> None:
    # scikit-learn's photograph of a Chinese temple: class 698 of ImageNet is "palace".
    model = build_model("tf_efficientnet_lite0", "lite").eval()
    photo = Image.fromarray(load_sample_image("china.jpg"))
    photo = photo.crop((107, 0, 534, 427)).resize((224, 224), Image.Resampling.BICUBIC)
    x = (torch.from_numpy(np.array(photo)).permute(2, 0, 1).float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        probability = model(x[None]).softmax(1)[0]
    assert probability.argmax() == 698
    assert 0.2 < probability[698] < 0.5


def test_features_follow_the_stated_preprocessing() -> None:
    backbone = load_backbone("tf_efficientnet_lite0", device="cpu")
    assert (backbone.dim, backbone.size, backbone.mean) == (1280, 224, (0.5, 0.5, 0.5))
    image = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    image = np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR))
    resized = Image.fromarray(image.astype(np.float32) / 255).resize(
        (224, 224), Image.Resampling.BICUBIC
    )
    x = (np.clip(np.asarray(resized), 0, 1) - 0.5) / 0.5
    ours = backbone.preprocess(torch.from_numpy(image[None].copy()))
    np.testing.assert_allclose(ours[0, 0], x, atol=1e-4)
    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(lite_state_dict("tf_efficientnet_lite0", model))
    model.eval()
    with torch.inference_mode():
        batch = torch.from_numpy(x)[None, None].expand(1, 3, -1, -1)
        expected = model.forward_features(batch).mean(dim=(2, 3))
    got = backbone.features(torch.from_numpy(image[None].copy()))
    assert got.shape == (1, 1280)
    np.testing.assert_allclose(got, expected, atol=2e-3)


def test_lite_for_another_model_names_those_that_have_it() -> None:
    with pytest.raises(UserError, match=r"tf_efficientnet_lite0.*imagenet, none or a file"):
        load_backbone("resnet18", "lite")


def test_unknown_name_is_corrected() -> None:
    with pytest.raises(UserError, match=r"did you mean.*resnet50"):
        load_backbone("resnt50", "none")


def test_random_weights_repeat_and_leave_the_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = load_backbone(SMALL, "none", device="cpu")
    assert torch.rand(1) == expected
    assert first.identity == BackboneSpec(SMALL, "none", "cpu").load().identity
    assert first.identity != load_backbone(SMALL, "none", device="cpu", seed=1).identity


@pytest.mark.parametrize("kind", ["safetensors", "pth", "wrapped.pt"])
def test_weights_from_a_file(tmp_path: Path, kind: str) -> None:
    model = build_model(SMALL, "none", seed=3)
    path = tmp_path / f"weights.{kind}"
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state} if "wrapped" in kind else state, path)
    loaded = load_backbone(SMALL, path, device="cpu")
    assert loaded.identity == load_backbone(SMALL, "none", device="cpu", seed=3).identity


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_backbone(SMALL, tmp_path / "missing.pth")
    text = tmp_path / "text.pth"
    text.write_text("not weights")
    with pytest.raises(UserError, match=r"text\.pth: not a safetensors file"):
        load_backbone(SMALL, text)
    other = tmp_path / "other.pth"
    torch.save({"a.weight": torch.zeros(2)}, other)
    with pytest.raises(UserError, match=r"other\.pth: not weights of mobilenetv3_small_050"):
        load_backbone(SMALL, other)


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("trap"),))


def test_a_pickle_is_not_run(in_folder: Path) -> None:
    torch.save({"a": _Trap()}, "evil.pth")
    with pytest.raises(UserError, match=r"evil\.pth"):
        load_backbone(SMALL, "evil.pth")
    assert not (in_folder / "trap").exists()


@pytest.fixture
def _empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("_empty_hub_cache")
def test_offline_names_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"HF_HUB_OFFLINE.*weights=lite.*none.*path"):
        load_backbone("resnet18", "imagenet")


@pytest.mark.usefixtures("_empty_hub_cache")
def test_refused_connection_names_the_choices_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> socket.socket:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", refuse)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"Connection refused.*weights=lite.*none.*path"):
        load_backbone("resnet18", "imagenet")
    assert time.monotonic() - start < 10


def test_silent_network_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        socket, "create_connection", lambda *a, **k: time.sleep(3) or socket.socket()
    )
    assert "no answer" in (hub.connection_problem(timeout=0.1) or "")


def test_connection_goes_to_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "proxy.example:3128"})
    monkeypatch.setattr(hub, "proxy_bypass", lambda host: False)
    assert hub._next_hop("https://huggingface.co") == ("proxy.example", 3128)
    monkeypatch.setattr(hub, "getproxies", dict)
    assert hub._next_hop("https://huggingface.co") == ("huggingface.co", 443)


def test_allocator_is_tuned_once() -> None:
    assert tune_allocator() is tune_allocator()
    assert keep_small_buffers() is keep_small_buffers()
