"""Only trusted packages are built, and only with arguments that exist."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from gansfp import build
from gansfp.errors import UserError


@pytest.fixture(autouse=True)
def _no_trust() -> None:
    build.trust([])


def test_a_library_class_is_built_with_plain_values() -> None:
    node = OmegaConf.create({"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 2,
                             "kernel_size": [3, 5]})  # fmt: skip
    layer = build.instantiate(node, bias=False)
    assert layer.weight.shape == (2, 1, 3, 5)
    assert layer.bias is None
    assert type(layer.kernel_size) in (list, tuple)


def test_null_is_none() -> None:
    assert build.instantiate(None) is None


@pytest.mark.parametrize(
    "target",
    ["os.system", "subprocess.run", "builtins.eval", "torch.os.system", "torch.load",
     "torch.hub.load", "gansfp.build.importlib.import_module", "lightning.pytorch.os.getcwd",
     "gansfp.runtime.run.Path", "sklearn.os.getcwd"],
)  # fmt: skip
def test_a_way_round_is_refused(target: str) -> None:
    with pytest.raises(UserError, match="target"):
        build.instantiate({"_target_": target})


def test_a_nested_target_is_checked_too() -> None:
    node = {"_target_": "torch.nn.Identity", "x": [{"y": {"_target_": "os.getcwd"}}]}
    with pytest.raises(UserError, match="os is not trusted"):
        build.check_targets({"method": node})


def test_an_unknown_argument_names_the_one_that_was_meant() -> None:
    node = {"_target_": "torch.nn.Linear", "in_features": 1, "out_featurs": 1}
    with pytest.raises(UserError, match=r"method.out_featurs.*did you mean out_features"):
        build.check_targets({"method": node})


def test_a_target_that_does_not_exist_is_named() -> None:
    with pytest.raises(UserError, match=r"method._target_=torch.nn.Lineer"):
        build.check_targets({"method": {"_target_": "torch.nn.Lineer"}})


def test_a_users_package_needs_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mypkg_for_trust.py").write_text(
        "class Thing:\n    def __init__(self, a): self.a = a\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    node = {"_target_": "mypkg_for_trust.Thing", "a": 3}
    with pytest.raises(UserError, match=r"trust=\[mypkg_for_trust\]"):
        build.instantiate(node)
    build.trust(["mypkg_for_trust"])
    assert build.instantiate(node).a == 3
    sys.modules.pop("mypkg_for_trust")


def test_facts_fill_only_what_is_open() -> None:
    node = {"_target_": "torch.nn.Linear", "in_features": None, "out_features": 5}
    facts = {"in_features": 3, "out_features": 9, "classes": ["a"]}
    assert build.accepted(node, facts) == {"in_features": 3}
    assert isinstance(build.instantiate(node, **build.accepted(node, facts)), torch.nn.Linear)


class TestWhatAConstructorRefuses:
    """Hydra puts three lines of its own around it; one line with the key is left."""

    def test_a_user_error_comes_out_as_it_is(self) -> None:
        node = {"_target_": "gansfp.methods.siamese.module.SiameseModule", "image_size": 64,
                "inference": "best"}  # fmt: skip
        with pytest.raises(UserError, match=r"^method.inference=best: choose centroid or average$"):
            build.instantiate(node)

    def test_also_of_a_nested_node(self) -> None:
        sampling = {"_target_": "gansfp.data.batches.RowPlan", "rows": [1], "batch_size": 0}
        node = {"_target_": "gansfp.data.batches.PlanLoader", "plan": sampling}
        with pytest.raises(UserError, match=r"^batch_size=0: must be at least 1$"):
            build.instantiate(node)

    def test_a_library_names_no_key_so_the_nodes_is_put_before_it(self) -> None:
        node = OmegaConf.create({"x": {"_target_": "torch.nn.Dropout", "p": 7}}).x
        with pytest.raises(UserError, match=r"^x: dropout probability has to be between 0 and 1"):
            build.instantiate(node)

    def test_a_fault_that_is_nobodys_value_keeps_its_traceback(self) -> None:
        node = {"_target_": "torch.nn.Linear", "in_features": 10**15, "out_features": 10**5}
        with pytest.raises(InstantiationException):
            build.instantiate(node)
