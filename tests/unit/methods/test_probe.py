"""Frozen features with an SVM or clusters, and the recipes of runs 1267, 1268, 1269 and 1271."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from gansfp.build import instantiate
from gansfp.errors import UserError
from gansfp.evaluation.published import published_run
from gansfp.features import backbones
from gansfp.features.preprocessing import NORMALISATIONS
from gansfp.features.representations import Pixels
from gansfp.methods.probe.clusters import Clusters, match
from gansfp.methods.probe.estimator import ProbeEstimator
from gansfp.methods.probe.linear import LinearSoftmax

ROOT = Path(__file__).parents[3]
CLASSES = ("t1", "t2", "t3")


@pytest.fixture
def grey(datamodule) -> Any:
    """Three subsets of other brightness; synthetic images are a little brighter."""
    rng = np.random.default_rng(0)

    def draw(n: int, kind: int, shift: int = 0) -> np.ndarray:
        return np.clip(rng.normal((200, 60, 130)[kind] + shift, 12, (n, 4, 4)), 0, 255)

    parts = []
    for kind, name in enumerate(CLASSES):
        parts.append(("train", "real", name, draw(15, kind), None))
        parts.append(("train", "generated", name, draw(9, kind, 5), None))
    parts += [("test", "generated_unknown", None, draw(12, kind, 5), None) for kind in range(3)]
    return lambda **settings: datamodule("attribution", parts, CLASSES, **settings)


TRUTH = np.repeat([0, 1, 2], 12)


def test_matching_by_hand() -> None:
    # Cluster 0 holds mostly class 2, cluster 1 class 0; cluster 2 has one image more of class 2
    # than of class 1, but class 2 is worth more to cluster 0.
    clusters = np.array([0] * 6 + [1] * 5 + [2] * 5)
    targets = np.array([2] * 5 + [0] + [0] * 4 + [1] + [2] * 3 + [1] * 2)
    assert match(clusters, targets, 3).tolist() == [2, 0, 1]


def test_matching_is_the_best_of_all_permutations() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        clusters, targets = rng.integers(4, size=(2, 40))
        best = max(np.mean(np.array(p)[clusters] == targets) for p in permutations(range(4)))
        assert np.mean(match(clusters, targets, 4)[clusters] == targets) == best


@pytest.mark.parametrize("algorithm", ["kmeans", "agglomerative"])
def test_matched_clusters_classify_and_unmatched_ones_are_worth_their_numbering(
    grey, algorithm: str
) -> None:
    data = grey(fold=None)
    rows = data.benchmark.candidates("test")
    matched = ProbeEstimator(Pixels(), algorithm).fit(data)
    decided = matched.predict(data, rows).argmax(axis=1)
    assert (decided == TRUTH).all()
    assert matched.model.matched == 1.0
    plain = ProbeEstimator(Pixels(), algorithm, matching="none").fit(data)
    by_number = plain.predict(data, rows).argmax(axis=1)
    # Cluster k as class k: a permutation of the matched decisions, right where it maps to itself.
    fixed = np.flatnonzero(matched.model.classes == np.arange(3))
    assert (by_number == decided).mean() == pytest.approx(len(fixed) / 3)
    assert plain.model.unmatched == pytest.approx(len(fixed) / 3)


def test_probabilities_of_clusters_follow_the_distance() -> None:
    clusters = Clusters(np.array([[0.0, 0.0], [4.0, 0.0]]), np.array([1, 0]), 1.0, 0.0)
    p = clusters.probabilities(np.array([[1.0, 0.0], [2.0, 7.0]]))
    squared = np.array([[1.0, 9.0], [53.0, 53.0]])
    weight = np.exp(-squared / squared.mean())
    np.testing.assert_allclose(p, (weight / weight.sum(axis=1, keepdims=True))[:, ::-1])


@pytest.mark.parametrize("reference", ["real", "generated"])
def test_the_svm_decides_as_scikit_learn_does(grey, reference: str) -> None:
    data = grey(folds=3, fold=0)
    method = ProbeEstimator(Pixels(), reference=reference, svm_c=0.01).fit(data)
    rows = data.benchmark.candidates("test")
    fitted = np.intersect1d(data.fit_rows, data.benchmark.rows("train", reference))
    encode = Pixels().encode
    model = SVC(kernel="linear", C=0.01).fit(
        encode(data.benchmark.images(fitted)).astype(float), data.benchmark.targets(fitted)
    )
    wanted = model.predict(encode(data.benchmark.images(rows)).astype(float))
    np.testing.assert_array_equal(method.predict(data, rows).argmax(axis=1), wanted)


@pytest.mark.parametrize("kind", ["lda", "logistic"])
@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_of_linear_models_are_scikit_learns(kind: str, classes: int) -> None:
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(classes), 30)
    features = rng.standard_normal((len(targets), 5)) * [1, 3, 10, 0.1, 0] + targets[:, None]
    features[:, 4] = 2.0  # one that never changes
    sklearn_model = make_pipeline(
        StandardScaler(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        if kind == "lda"
        else LogisticRegression(C=0.3, max_iter=2000),
    ).fit(features, targets)
    found = LinearSoftmax.fit(features, targets, kind, 0.3).probabilities(features)
    np.testing.assert_allclose(found, sklearn_model.predict_proba(features), atol=1e-9)


@pytest.mark.parametrize("classifier", ["svm", "lda", "logistic", "kmeans", "agglomerative"])
def test_it_is_read_back_as_it_was(grey, tmp_path: Path, classifier: str) -> None:
    data = grey(fold=None)
    method = ProbeEstimator(Pixels(2), classifier).fit(data)
    method.save(tmp_path / "model")
    loaded = ProbeEstimator.load(tmp_path / "model")
    rows = data.benchmark.candidates("test")
    np.testing.assert_array_equal(loaded.predict(data, rows), method.predict(data, rows))
    with pytest.raises(UserError, match="no saved classifier"):
        ProbeEstimator.load(tmp_path)


def test_what_it_cannot_do(grey, membership) -> None:
    with pytest.raises(UserError, match="task=attribution"):
        ProbeEstimator(Pixels()).fit(membership)
    with pytest.raises(UserError, match=r"method\.classifier=forest"):
        ProbeEstimator(Pixels(), "forest")
    data = grey(fold="all")
    with pytest.raises(UserError, match="class t1 has no generated image"):
        ProbeEstimator(Pixels(), reference="generated").fit(data)


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", overrides=list(overrides))


@pytest.fixture(params=["1267", "1268", "1269", "1271"])
def sheet(request: pytest.FixtureRequest) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "tests/recipes" / f"{request.param}.yaml").read_text())


def test_config_and_method_hold_every_value_of_the_sheet(
    sheet: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = composed(f"experiment={sheet['experiment']}")
    assert cfg.published_run == sheet["run"]
    assert sheet["published"] == published_run(sheet["run"]).printed
    assert cfg.data.fold == sheet["validation_split"]
    assert cfg.decision._target_ == "gansfp.decisions.ArgMax"
    method = instantiate(cfg.method)
    assert isinstance(method, ProbeEstimator)
    assert method.classifier == sheet["classifier"]["name"]
    assert method.svm_c == sheet["classifier"]["c"]
    assert method.reference == sheet["fitted_on"]
    assert method.seed == sheet["clusters"]["kmeans_seed"]
    assert method.representation.batch_size == sheet["batch"]
    assert method.representation.normalize == sheet["backbone"]["normalised"]
    spec = method.representation.backbone
    assert spec.weights == sheet["backbone"]["weights"]
    # What is built, with random weights in the place of those from the hub.
    hub = backbones.build_model
    monkeypatch.setattr(backbones, "build_model", lambda name, weights, seed: hub(name, "none"))
    built = spec.load()
    assert built.dim == sheet["backbone"]["features"]
    assert built.preprocess.size == sheet["backbone"]["size"]
    assert built.preprocess.interpolation == sheet["resize"]["interpolation"]
    assert built.preprocess.antialias == sheet["resize"]["antialias"]


def test_the_preprocessing_switch_reaches_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "method.representation.backbone"
    for name, (mean, std) in NORMALISATIONS.items():
        cfg = composed("experiment=table3/1268_resnet50_svm", f"{key}.normalisation={name}",
                       f"{key}.weights=none", f"{key}.name=tf_efficientnet_lite0")  # fmt: skip
        built = instantiate(cfg.method).representation.backbone.load()
        assert (built.mean, built.std) == (mean, std)
        assert str(mean) in built.preprocessing  # embeddings of another switch are other ones


def test_the_fine_tuned_variant_holds_a_tenth_of_the_real_images_out() -> None:
    cfg = composed("experiment=beyond/finetuned_svm")
    assert (cfg.data.holdout, cfg.data.folds, cfg.data.fold) == ("real", 10, 0)
    assert cfg.data.sampling.role == "real"
    assert (cfg.method.inference, cfg.method.reference) == ("svm", "real")
