from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from gansfp.data.attribution import AttributionDataModule
from gansfp.data.membership import MembershipDataModule
from gansfp.data.pairs import Images
from gansfp.data.pseudo import content_hash, read_pseudo_labels, write_pseudo_labels
from gansfp.errors import UserError
from gansfp.runtime.run import config_hash


@pytest.fixture
def make(attribution_root: Path, tmp_path: Path):
    def build(**settings: Any) -> AttributionDataModule:
        return AttributionDataModule(attribution_root, cache_dir=tmp_path / "cache", **settings)

    return build


@pytest.fixture
def labels(make) -> pd.DataFrame:
    """Three test images, out of order, of two classes."""
    data = make()
    rows = data.benchmark.candidates("test")[[4, 0, 2]]
    names = data.benchmark.index.frame["sample_id"].iloc[rows].tolist()
    return pd.DataFrame({"sample_id": names, "label": ["t2", "t10", "t2"], "agreement": 1.0})


def test_pseudo_labelled_images_are_trained_on_with_their_labels(make, labels, tmp_path) -> None:
    path = tmp_path / "labels.csv"
    write_pseudo_labels(labels, path)
    data = make(fold=None, sampling=Images(1000, role="generated"), pseudo_labels=path)
    (batch,) = list(data.train_dataloader())
    target = dict(zip(batch["row"].tolist(), batch["label"].tolist(), strict=True))
    test_rows = data.benchmark.candidates("test")
    classes = data.benchmark.classes
    wanted = {test_rows[4]: "t2", test_rows[0]: "t10", test_rows[2]: "t2"}
    assert {row: classes[target[row]] for row in wanted} == wanted
    assert set(target) == set(wanted) | set(data.generated_rows)
    assert data.transductive
    assert set(data.benchmark.labels(test_rows)) == {None}  # nobody else sees them as labelled
    assert not make().transductive


def test_membership_takes_pseudo_labels_too(membership_root: Path, tmp_path: Path) -> None:
    known = MembershipDataModule(membership_root, cache_dir=tmp_path / "c").benchmark
    names = known.index.frame["sample_id"].iloc[known.candidates("test")[:2]]
    path = tmp_path / "labels.parquet"
    write_pseudo_labels(pd.DataFrame({"sample_id": names, "label": ["used", "not_used"]}), path)
    data = MembershipDataModule(membership_root, cache_dir=tmp_path / "c", fold=None,
                                sampling=Images(1000), pseudo_labels=path)  # fmt: skip
    (batch,) = list(data.train_dataloader())
    assert len(batch["row"]) == len(data.fit_rows) + 2
    target = dict(zip(batch["row"].tolist(), batch["label"].tolist(), strict=True))
    assert [target[row] for row in known.candidates("test")[:2]] == [1, 0]


def test_no_pseudo_label_of_a_group_that_is_held_out(
    attribution_root: Path, make, labels, tmp_path
) -> None:
    path = tmp_path / "labels.csv"
    write_pseudo_labels(labels, path)
    data = make(fold=0)
    frame = data.benchmark.index.frame
    held_out = frame["sample_id"].iloc[data.holdout_rows[0]]
    lines = [f"{labels['sample_id'][0]},together", f"{held_out},together"]
    (attribution_root / "groups.csv").write_text("\n".join(lines))
    joined = make(fold=0, pseudo_labels=path)
    assert held_out in set(frame["sample_id"].iloc[joined.holdout_rows])
    kept = set(frame["sample_id"].iloc[joined.pseudo_rows])
    assert kept == set(labels["sample_id"][1:])


def test_a_file_counts_by_what_it_says(labels, tmp_path: Path) -> None:
    here, there = tmp_path / "a.csv", tmp_path / "sub" / "b.parquet"
    write_pseudo_labels(labels, here)
    write_pseudo_labels(labels.iloc[::-1], there)
    assert content_hash(here) == content_hash(there)
    assert list(read_pseudo_labels(here).columns) == ["sample_id", "label"]
    configs = [OmegaConf.create({"data": {"pseudo_labels": str(p)}}) for p in (here, there)]
    assert config_hash(configs[0]) == config_hash(configs[1])
    labels.loc[0, "label"] = "t1"
    write_pseudo_labels(labels, there)
    assert config_hash(configs[0]) != config_hash(configs[1])
    assert config_hash(OmegaConf.create({"data": {"pseudo_labels": None}})) not in {
        config_hash(c) for c in configs
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sample_id": "nobody.png"}, "nobody.png is no test image"),
        ({"label": "t99"}, "t99 is none of t1, t2, t10"),
    ],
)
def test_labels_that_do_not_fit(make, labels, tmp_path, change, said) -> None:
    path = tmp_path / "labels.csv"
    write_pseudo_labels(labels.assign(**{k: [v, *labels[k][1:]] for k, v in change.items()}), path)
    with pytest.raises(UserError, match=said):
        _ = make(pseudo_labels=path).pseudo_rows


def test_files_that_are_none(tmp_path: Path, labels) -> None:
    path = tmp_path / "labels.csv"
    pd.DataFrame({"sample_id": ["a"]}).to_csv(path, index=False)
    with pytest.raises(UserError, match="needs the columns"):
        read_pseudo_labels(path)
    pd.DataFrame({"sample_id": ["a", "a"], "label": ["t1", "t1"]}).to_csv(path, index=False)
    with pytest.raises(UserError, match="a is there twice"):
        read_pseudo_labels(path)


class TestSplits:
    def test_every_image_held_out_leaves_the_real_ones(self, make) -> None:
        data = make(fold="all")
        assert data.holdout_rows.tolist() == data.benchmark.candidates("train").tolist()
        assert data.fit_rows.tolist() == data.benchmark.rows("train", "real").tolist()

    def test_folds_of_the_real_images(self, make) -> None:
        real = make().benchmark.rows("train", "real")
        held_out = [make(folds=5, fold=k, holdout="real").holdout_rows for k in range(5)]
        assert sorted(np.concatenate(held_out)) == real.tolist()
        data = make(folds=5, fold=2, holdout="real")
        assert set(data.benchmark.candidates("train")) <= set(data.fit_rows)
        assert set(data.fit_rows) & set(data.holdout_rows) == set()

    def test_the_sequestered_part_is_in_nothing(self, make) -> None:
        data = make(folds=5, fold=1, sequester=0.2)
        kept = set(data.sequestered_rows)
        candidates = data.benchmark.candidates("train")
        labels = pd.Series(data.benchmark.labels(candidates))
        chosen = pd.Series(data.benchmark.labels(data.sequestered_rows))
        assert (chosen.value_counts() - labels.value_counts() / 5).abs().max() < 1
        assert kept.isdisjoint(data.fit_rows)
        assert kept.isdisjoint(data.holdout_rows)
        assert kept | set(data.generated_rows) | set(data.holdout_rows) == set(candidates)
        assert 0 < len(data.holdout_rows) <= len(candidates) / 5 + 1

    def test_members_of_other_seeds_can_share_their_splits(self, make) -> None:
        one, other = (make(fold=0, sequester=0.2, seed=s, split_seed=7) for s in (0, 1))
        assert one.holdout_rows.tolist() == other.holdout_rows.tolist()
        assert one.sequestered_rows.tolist() == other.sequestered_rows.tolist()
        alone = make(fold=0, sequester=0.2, seed=1)
        assert alone.holdout_rows.tolist() != other.holdout_rows.tolist()

    @pytest.mark.parametrize("setting", [{"sequester": 0.7}, {"holdout": "t1"}, {"fold": "some"}])
    def test_impossible(self, make, setting: dict[str, Any]) -> None:
        with pytest.raises(UserError, match=f"data.{next(iter(setting))}"):
            _ = make(**setting).sequestered_rows


def test_real_images_as_a_class_of_their_own(make) -> None:
    data = make(fold=None, sampling=Images(1000, real_class=True))
    (batch,) = list(data.train_dataloader())
    rows, target = batch["row"].numpy(), batch["label"].numpy()
    real = np.isin(rows, data.benchmark.rows(role="real"))
    assert (target[real] == 3).all()
    assert target[~real].tolist() == data.benchmark.targets(rows[~real]).tolist()
