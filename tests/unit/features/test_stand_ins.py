from __future__ import annotations

import pytest
import timm

from gansfp.features.backbones import FROZEN_STAND_INS, BackboneSpec
from gansfp.features.trainable import TrainableBackbone


@pytest.mark.parametrize(
    ("name", "weights", "taken"),
    [
        ("tf_efficientnet_b1.in1k", "lite", "tf_efficientnet_lite1"),
        ("resnet50.tv_in1k", "lite", "tf_efficientnet_lite0"),
        ("resnet50.tv_in1k", "imagenet", "resnet50.tv_in1k"),
        ("densenet121.tv_in1k", "none", "densenet121.tv_in1k"),
        ("tf_efficientnet_lite2", "lite", "tf_efficientnet_lite2"),
        ("vit_base_patch16_224", "lite", "tf_efficientnet_lite0"),
        ("vit_tiny_patch16_224", "lite", "vit_tiny_patch16_224"),
    ],
)
def test_a_network_stands_in_only_where_lite_weights_are_asked_for(
    name: str, weights: str, taken: str
) -> None:
    assert BackboneSpec(name, weights).name == taken


def test_a_transformer_that_is_trained_stays_and_starts_at_random(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[tuple[str, str]] = []

    def small(name: str, weights: str = "none", seed: int = 0) -> object:
        built.append((name, weights))
        return timm.create_model("test_vit")

    monkeypatch.setattr("gansfp.features.backbones.build_model", small)
    TrainableBackbone("vit_base_patch16_224", "lite").load_pretrained()
    assert built == [("vit_base_patch16_224", "none")]


def test_stand_ins_and_those_they_stand_in_for_are_models() -> None:
    assert all(timm.is_model(name) for pair in FROZEN_STAND_INS.items() for name in pair)
