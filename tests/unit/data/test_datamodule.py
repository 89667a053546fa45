from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch

from gansfp.data import datamodule
from gansfp.data.attribution import AttributionDataModule
from gansfp.data.augment import Augment
from gansfp.data.augment.geometry import Flip
from gansfp.data.batches import PlanLoader, ShuffledRows
from gansfp.data.draws import derive
from gansfp.data.membership import MembershipDataModule
from gansfp.data.pairs import ClassPairs, Images
from gansfp.errors import UserError
from gansfp.features.residuals import residual_images


@pytest.fixture
def membership_data(membership_root: Path, tmp_path: Path):
    def make(**settings: Any) -> MembershipDataModule:
        return MembershipDataModule(membership_root, cache_dir=tmp_path / "cache", **settings)

    return make


@pytest.fixture
def attribution_data(attribution_root: Path, tmp_path: Path):
    def make(**settings: Any) -> AttributionDataModule:
        return AttributionDataModule(attribution_root, cache_dir=tmp_path / "cache", **settings)

    return make


def test_held_out_and_fit_rows_of_membership(membership_data) -> None:
    held_out = []
    for fold in range(5):
        data = membership_data(fold=fold)
        candidates = data.benchmark.candidates("train")
        assert sorted([*data.fit_rows, *data.holdout_rows]) == candidates.tolist()
        assert set(data.benchmark.labels(data.holdout_rows)) == {"used", "not_used"}
        held_out += data.holdout_rows.tolist()
    assert sorted(held_out) == candidates.tolist()


def test_nothing_held_out(membership_data) -> None:
    data = membership_data(fold=None)
    assert data.holdout_rows.tolist() == []
    assert data.fit_rows.tolist() == data.benchmark.candidates("train").tolist()


def test_attribution_holds_out_generated_images_only(attribution_data) -> None:
    data = attribution_data(fold=1)
    real = data.benchmark.rows("train", "real")
    assert set(real) <= set(data.fit_rows)
    assert set(data.holdout_rows) <= set(data.benchmark.candidates("train"))
    assert set(data.fit_rows) | set(data.holdout_rows) == set(data.benchmark.rows("train"))
    assert set(data.fit_rows) & set(data.holdout_rows) == set()
    assert set(data.generated_rows) == set(data.fit_rows) - set(real)


def test_no_group_of_a_fit_row_is_held_out(attribution_root: Path, attribution_data) -> None:
    lines = [f"generated/gen_t{c}/img_{k},g{c}-{k // 2}" for c in (1, 2, 10) for k in range(1, 11)]
    lines += [f"real/t{c}/img_{k},g{c}-{k // 2}" for c in (1, 2, 10) for k in range(1, 6)]
    (attribution_root / "groups.csv").write_text("\n".join(lines))
    for fold in range(5):
        data = attribution_data(fold=fold)
        groups = data.benchmark.groups
        assert len(data.holdout_rows) > 0
        assert set(groups(data.fit_rows)) & set(groups(data.holdout_rows)) == set()


@pytest.mark.parametrize(("which", "count"), [("both", 10), ("train", 6), ("test", 4)])
def test_generated_rows(membership_data, which: str, count: int) -> None:
    data = membership_data(use_generated=which)
    assert len(data.generated_rows) == count
    assert set(data.benchmark.index.frame["role"].iloc[data.generated_rows]) == {"generated"}


@pytest.mark.parametrize(
    ("settings", "key"), [({"fold": 5}, "fold=5"), ({"use_generated": "all"}, "use_generated=all")]
)
def test_impossible_settings(membership_data, settings: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError, match=key):
        membership_data(**settings)


def test_no_sampling(membership_data) -> None:
    with pytest.raises(UserError, match=r"data\.sampling is not set"):
        membership_data().train_dataloader()


def test_images_come_with_every_column_of_rows(membership_data) -> None:
    data = membership_data(sampling=ClassPairs(4))
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    assert set(batch) == {"real_row", "generated_row", "same", "real_image", "generated_image"}
    for side in ("real", "generated"):
        np.testing.assert_array_equal(
            batch[f"{side}_image"].numpy(), data.benchmark.images(batch[f"{side}_row"].numpy())
        )


def test_training_images_are_augmented_and_views_are_columns(membership_data) -> None:
    augment = Augment({"flip": Flip(0.5)}, views=2)
    data = membership_data(sampling=ClassPairs(4), augment=augment)
    loader = data.train_dataloader()
    (first, *_), (again, *_) = list(loader), list(loader)
    batch = data.on_after_batch_transfer(first, 0)
    assert torch.equal(first["draw"], again["draw"])
    sides = {f"{side}_image{view}" for side in ("real", "generated") for view in ("", "_2")}
    assert set(batch) == {"real_row", "generated_row", "same", "draw", *sides}
    raw = torch.from_numpy(data.benchmark.images(batch["real_row"].numpy()))
    for column, side in enumerate(("real", "generated")):
        raw = torch.from_numpy(data.benchmark.images(batch[f"{side}_row"].numpy()))
        for view, name in enumerate(("image", "image_2")):
            wanted = augment(raw, derive(batch["draw"], column), view)
            torch.testing.assert_close(batch[f"{side}_{name}"], wanted)
    loader.sampler.set_epoch(1)
    assert not torch.equal(next(iter(loader))["draw"], first["draw"])


def test_ranks_share_the_draws_of_the_whole_batch() -> None:
    plan = ShuffledRows(np.arange(12), np.arange(12), 6, seed=0)
    whole = list(PlanLoader(plan, draw_seed=3))
    for rank in range(2):
        for full, share in zip(whole, PlanLoader(plan, rank, 2, draw_seed=3), strict=True):
            assert torch.equal(share["draw"], full["draw"][rank::2])


def test_prediction_images_are_never_augmented(membership_data) -> None:
    data = membership_data(augment=Augment({"flip": Flip(1.0)}))
    data.predict_rows = data.benchmark.candidates("test")
    batch = data.on_after_batch_transfer(next(iter(data.predict_dataloader())), 0)
    np.testing.assert_array_equal(batch["image"], data.benchmark.images(batch["row"].numpy()))


class Means(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.rows: list[int] = []

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        self.rows += batch["row"].tolist()
        means = batch["image"].float().mean((1, 2), keepdim=True).flatten(1)
        return (self.layer(means / 255).squeeze(1) - batch["label"]).square().mean()

    def predict_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        return batch["image"].float().mean((1, 2))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_fit_and_predict_in_a_trainer(membership_data) -> None:
    data = membership_data(sampling=Images(4), predict_batch_size=3)
    trainer = L.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    module = Means()
    trainer.fit(module, datamodule=data)
    assert len(module.rows) == 2 * (len(data.fit_rows) // 4) * 4
    assert set(module.rows) <= set(data.fit_rows)
    data.predict_rows = data.benchmark.candidates("test")[::-1].copy()
    outputs = trainer.predict(module, datamodule=data)
    assert [len(part) for part in outputs] == [3, 3, 2]
    np.testing.assert_allclose(
        torch.cat(outputs), data.benchmark.images(data.predict_rows).mean((1, 2)), rtol=1e-6
    )


def test_a_trainer_of_two_ranks_gives_each_its_share(membership_data) -> None:
    data = membership_data(sampling=Images(4))
    whole = next(iter(data.train_dataloader()))["row"].tolist()
    shares = []
    for rank in range(2):
        data.trainer = type("Ranks", (), {"global_rank": rank, "world_size": 2})()
        shares.append(next(iter(data.train_dataloader()))["row"].tolist())
    assert shares == [whole[0::2], whole[1::2]]


def test_prediction_batches_shrink_with_the_images(membership_data, monkeypatch) -> None:
    data = membership_data()
    data.predict_rows = data.benchmark.candidates("test")
    assert len(next(iter(data.predict_dataloader()))["row"]) == 8  # all of them
    monkeypatch.setattr(datamodule, "CPU_PREDICT_PIXELS", 3 * 16 * 16)
    assert [len(batch["row"]) for batch in data.predict_dataloader()] == [3, 3, 2]
    for device, first in (("cpu", 3), ("cuda", 8)):
        strategy = SimpleNamespace(root_device=torch.device(device))
        data.trainer = SimpleNamespace(strategy=strategy, global_rank=0, world_size=1)
        assert len(next(iter(data.predict_dataloader()))["row"]) == first


def test_one_role_alone_is_fitted_on(attribution_data) -> None:
    both = attribution_data(fold=0)
    for role in ("real", "generated"):
        data = attribution_data(fold=0, fit_role=role)
        kept = np.intersect1d(both.fit_rows, both.benchmark.rows("train", role))
        assert data.fit_rows.tolist() == kept.tolist()
        assert data.holdout_rows.tolist() == both.holdout_rows.tolist()
    with pytest.raises(UserError, match="fit_role=reel"):
        _ = attribution_data(fit_role="reel").fit_rows


def test_every_image_becomes_its_residual(attribution_data) -> None:
    plain, data = attribution_data(), attribution_data(residual="gaussian")
    rows = np.arange(len(plain.benchmark))
    wanted = residual_images(plain.benchmark.images(rows), "gaussian")
    np.testing.assert_array_equal(data.benchmark.images(rows), wanted)
    assert plain.benchmark.index.frame.equals(data.benchmark.index.frame)
