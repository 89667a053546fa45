"""How often an audit names the exposed, and how often it names somebody where nobody is.

    python experiments/audit/run.py copies embedded free [bank=DIR ...] [cache=DIR] [trials=10]
                                        [only=NAME ...]

`cache=DIR` keeps the phantoms and their features (6,000 of them, drawn once); `only=NAME` audits
one of the 14 embedded generators. Results go beside this file.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gansfp.audit.attack import Attack
from gansfp.audit.examination import Examination, Findings, with_copies
from gansfp.audit.planted import perturbed
from gansfp.data.embedded import resolve
from gansfp.data.sources.folder import FolderSource
from gansfp.data.sources.phantom import PhantomSource
from gansfp.features.backbones import BackboneSpec
from gansfp.forge.bank import read_bank

HERE = Path(__file__).parent
PATIENTS, SYNTHETIC = 6000, 1000
CANDIDATES, COPIED = 500, 50
NONMEMBERS = (100, 250, 1000)
KINDS = {"noise 8": (8.0, 0), "noise 8, shift 1": (8.0, 1), "noise 16, shift 2": (16.0, 2)}
Q = 0.05
AUDITS = 8  # of each generator that knows nobody
PERMUTATIONS = 500

Vectors = list[np.ndarray]


def pool(cache: Path, attack: Attack) -> tuple[np.ndarray, Vectors]:
    """6,000 phantoms, one slice each, of whom no embedded generator knows any."""
    path = cache / "phantoms.npz"
    if not path.is_file():
        pixels = PhantomSource(PATIENTS, seed=101, first_patient=1000).read().pixels
        cache.mkdir(parents=True, exist_ok=True)
        views = dict(zip(attack.views, attack.encode(pixels), strict=True))
        np.savez(path, pixels=pixels, **views)
    stored = np.load(path)
    return stored["pixels"], [stored[name] for name in attack.views]


def examined(
    attack: Attack, vectors: Vectors, synthetic: Vectors, used: int, seed: int
) -> Examination:
    """The first `used` images are asked about, the others calibrate; every image is a patient."""
    count = len(vectors[0])
    labels = np.repeat([1, 0], [used, count - used])
    return Examination.of(
        attack, vectors, synthetic, np.arange(count).astype(str), labels, seed=seed
    )


def rows_of(vectors: Vectors, rows: np.ndarray) -> Vectors:
    return [view[rows] for view in vectors]


def copies(attack: Attack, cache: Path, trials: int) -> Iterator[dict[str, object]]:
    """A tenth of 500 candidates is copied into 1,000 images of other patients."""
    pixels, vectors = pool(cache, attack)
    for trial in range(trials):
        rng = np.random.default_rng([trial, 7])
        order = rng.permutation(len(pixels))
        asked, synthetic = order[: CANDIDATES + NONMEMBERS[-1]], order[-SYNTHETIC:]
        whole = examined(
            attack, rows_of(vectors, asked), rows_of(vectors, synthetic), CANDIDATES, trial
        )
        closest = whole.closest()
        chosen = rng.choice(CANDIDATES, COPIED, replace=False)
        near = {}
        for kind, (noise, shift) in KINDS.items():
            made = perturbed(pixels[asked[chosen]], rng, noise, shift)
            near[kind] = with_copies(whole, closest, attack.encode(made))
        for count in NONMEMBERS:
            kept = np.arange(len(asked)) < CANDIDATES + count
            part = whole.part(kept)
            for kind in KINDS:
                found = part.findings(near[kind][kept], Q, PERMUTATIONS)
                called = found.exposure.called
                right = int(called[chosen].sum())
                yield {
                    "trial": trial, "copies": kind, "nonmembers": count,
                    "called": int(called.sum()),
                    "found": right / COPIED, "wrong": int(called.sum()) - right,
                    "fdp": (int(called.sum()) - right) / max(1, int(called.sum())),
                    "fewest": found.exposure.fewest, **facts(found),
                }  # fmt: skip


def facts(found: Findings) -> dict[str, object]:
    test, share = found.test, found.share
    return {
        "p": test.p, "reverse_p": test.reverse_p, "auroc": round(test.auroc.value, 4),
        "auroc_low": round(test.auroc.low, 4), "auroc_high": round(test.auroc.high, 4),
        "share": round(share.value, 4), "share_low": round(share.low, 4),
    }  # fmt: skip


def images(folder: Path) -> tuple[list[str], np.ndarray]:
    read = FolderSource(str(folder), keep_copies=True).read()
    return list(read.names), read.pixels


def embedded_generators() -> Iterator[tuple[str, np.ndarray]]:
    """The 14 generators behind the embedded benchmarks; none knows a phantom of the pool."""
    for name in ("null", "gan", "ddpm_short", "ddpm_long"):
        yield name, membership(name)[0]
    root = Path(str(resolve("embedded:attribution/one_population")))
    for subset in sorted(path.name for path in (root / "train" / "generated").iterdir()):
        label = subset.removeprefix("gen_")
        yield (
            f"{label}_A",
            np.concatenate(
                [images(root / "train" / "generated" / subset)[1], labelled(root / "test", label)]
            ),
        )
        yield f"{label}_B", labelled(root / "test_B", label)


def labelled(folder: Path, label: str) -> np.ndarray:
    truth = dict(table(folder / "labels.csv"))
    names, pixels = images(folder / "generated_unknown")
    return pixels[[truth[name] == label for name in names]]


def table(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="") as stream:
        return [(row[0], row[1]) for row in csv.reader(stream)]


def membership(place: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Synthetic images, members and others of a benchmark; embedded by name, or a forged folder."""
    known = isinstance(place, str)
    root = Path(str(resolve(f"embedded:membership/{place}"))) if known else place
    synthetic = [images(root / split / "generated")[1] for split in ("train", "test")]
    truth = dict(table(root / "test" / "labels.csv"))
    names, unknown = images(root / "test" / "real_unknown")
    used = np.array([truth[name] == "1" for name in names])
    members = np.concatenate([images(root / "train" / "real_used")[1], unknown[used]])
    others = np.concatenate([images(root / "train" / "real_not_used")[1], unknown[~used]])
    return np.concatenate(synthetic), members, others


def embedded(attack: Attack) -> Iterator[dict[str, object]]:
    """All members against all others of the embedded benchmarks."""
    for name in ("null", "gan", "ddpm_short", "ddpm_long"):
        synthetic, members, others = membership(name)
        vectors = attack.encode(np.concatenate([members, others]))
        whole = examined(attack, vectors, attack.encode(synthetic), len(members), 0)
        found = whole.findings(whole.closest(), Q, 10_000)
        yield {
            "benchmark": name, "synthetic": len(synthetic), "members": len(members),
            "nonmembers": len(others), "called": int(found.exposure.called.sum()),
            "fewest": found.exposure.fewest, **facts(found),
        }  # fmt: skip


def free(
    attack: Attack, cache: Path, banks: list[Path], only: list[str]
) -> Iterator[dict[str, object]]:
    """Audits about patients whom the generator does not know."""
    _, vectors = pool(cache, attack)
    for name, synthetic in embedded_generators():
        if only and name not in only:
            continue
        yield from free_audits(attack, name, attack.encode(synthetic), vectors, CANDIDATES, 1000)
    for folder in banks:
        bank = read_bank(folder)
        real = attack.encode(bank.real)
        for known, (name, synthetic) in zip(bank.membership, bank.generated.items(), strict=True):
            unknown = np.flatnonzero(~known)
            others = rows_of(real, unknown)
            yield from free_audits(
                attack, f"{folder.name}/{name}", attack.encode(synthetic), others,
                len(unknown) // 3, len(unknown) - len(unknown) // 3,
            )  # fmt: skip


def free_audits(
    attack: Attack, name: str, synthetic: Vectors, vectors: Vectors, used: int, others: int
) -> Iterator[dict[str, object]]:
    near = attack.closest(vectors, synthetic)
    for audit in range(AUDITS):
        rng = np.random.default_rng([*name.encode(), audit])
        rows = rng.permutation(len(near))[: used + others]
        whole = examined(attack, rows_of(vectors, rows), synthetic, used, audit)
        found = whole.findings(near[rows], Q, PERMUTATIONS)
        yield {
            "generator": name, "synthetic": len(synthetic[0]), "audit": audit, "candidates": used,
            "nonmembers": others, "called": int(found.exposure.called.sum()), **facts(found),
        }  # fmt: skip


def main(words: list[str]) -> None:
    given = [word.partition("=")[::2] for word in words if "=" in word]
    options = dict(given)
    cache = Path(options.get("cache", "audit-cache"))
    banks = [Path(value) for key, value in given if key == "bank"]
    attack = Attack(backbone=BackboneSpec())
    studies = {
        "copies": lambda: copies(attack, cache, int(options.get("trials", "10"))),
        "embedded": lambda: embedded(attack),
        "free": lambda: free(attack, cache, banks, [name for key, name in given if key == "only"]),
    }
    for study in (word for word in words if "=" not in word):
        with (HERE / f"{study}.csv").open("w", newline="") as stream:
            writer = None
            for row in studies[study]():
                writer = writer or csv.DictWriter(stream, list(row), lineterminator="\n")
                if stream.tell() == 0:
                    writer.writeheader()
                writer.writerow(row)
                stream.flush()
                print(study, row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
