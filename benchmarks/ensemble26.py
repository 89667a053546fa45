"""Run 1782's 26 voters through our ensemble, against a plain Lightning script on the same card.

python benchmarks/ensemble26.py --out OUT --root DIR --size 224 --epochs 10 --plain 4
python benchmarks/ensemble26.py --out OUT --size 32 --epochs 1 --tiny

The first is for a GPU and takes the most time in its plain part, of which `--plain N` of the 27
fits are timed, spread over the grid, and the rest reckoned by their mean for each network. The
second shows on a CPU that it runs. Data: an attribution benchmark; without --root an embedded one.

Ours is one `gansfp train experiment=table3/1782_pseudo_labels method.rounds=0` (27 fits, one of
them dropped): pixels on the device, bf16, predictions, votes and all. The plain script is what one
writes by hand: `ImageFolder` of PNG files in a DataLoader with workers and pinned memory, resized
by torchvision, the same networks, images, batches, learning rates, epochs and validation,
bf16-mixed too, imports left out (ours count). Prints one JSON line.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

NETWORKS = ("lite0", "lite1", "lite2")
LRS, BATCHES = ("3e-5", "1e-4", "3e-4"), (16, 32, 64)
TINY_BATCHES = 2
Setting = tuple[str, str, int]


def main() -> None:
    """Time both, print one JSON line."""
    options = read_options()
    if options.role == "plain":
        print(json.dumps(plain_fits(options)))
        return
    root = benchmark_folder(options)
    seconds, runs = ours(options, root)
    timed = json.loads(own_process(options).stdout.splitlines()[-1])
    by_network: dict[str, list[float]] = defaultdict(list)
    for setting, took in timed:
        by_network[setting[0]].append(took)
    means = {name: sum(found) / len(found) for name, found in by_network.items()}
    fits = grid(options)
    whole = sum(took for _, took in timed)
    if len(timed) < len(fits):
        whole = sum(means.get(name, sum(means.values()) / len(means)) for name, *_ in fits)
    result = {
        "fits": len(fits),
        "root": options.root,
        "size": options.size,
        "epochs": options.epochs,
        "ours_seconds": round(seconds, 1),
        "plain_seconds": round(whole, 1),
        "plain_fits_timed": len(timed),
        "ratio": round(whole / seconds, 2),
        "runs": str(runs),
    }
    print(json.dumps(result))


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--root", default="embedded:attribution/one_population")
    parser.add_argument("--size", type=int, default=224, help="of the networks' input")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--plain", type=int, default=0, help="plain fits to time; 0: all")
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1))
    parser.add_argument("--words", default="", help="further key=value words for ours")
    parser.add_argument("--tiny", action="store_true", help="two short fits alone")
    parser.add_argument("--role", choices=("both", "plain"), default="both", help="for itself")
    return parser.parse_args()


def grid(options: argparse.Namespace) -> list[Setting]:
    """List networks, learning rates and batch sizes."""
    if options.tiny:
        return list(itertools.product(NETWORKS[:1], LRS[:2], BATCHES[:1]))
    return list(itertools.product(NETWORKS, LRS, BATCHES))


def benchmark_folder(options: argparse.Namespace) -> Path:
    """Find the images, which are unpacked where they are embedded."""
    from gansfp.data.embedded import resolve

    return Path(str(resolve(options.root)))


def ours(options: argparse.Namespace, root: Path) -> tuple[float, Path]:
    """Time one command in a process of its own."""
    fits = grid(options)
    study = options.out / "runs"
    networks = ",".join(dict.fromkeys(name for name, *_ in fits))
    values = [",".join(dict.fromkeys(str(fit[n]) for fit in fits)) for n in (1, 2)]
    command = [
        sys.executable, "-m", "gansfp", "train", "experiment=table3/1782_pseudo_labels",
        f"data.root={root}", f"paths.runs={study}", f"study={time.time_ns()}",
        f"trainer={'gpu' if on_gpu() else 'cpu'}", f"trainer.max_epochs={options.epochs}",
        f"networks.size={options.size}",
        "networks.weights=lite", f"method.backbones=[{networks}]",
        f"method.grid={{method.lr:[{values[0]}],data.sampling.batch_size:[{values[1]}]}}",
        "method.rounds=0", "evaluator.controls=none",
        f"trainer.limit_train_batches={TINY_BATCHES if options.tiny else 'null'}",
        *shlex.split(options.words),
    ]  # fmt: skip
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=sys.stderr)
    return time.perf_counter() - start, study


def own_process(options: argparse.Namespace) -> subprocess.CompletedProcess[str]:
    """Run the plain part, which must find the GPU as empty as ours did."""
    command = [sys.executable, __file__, *sys.argv[1:], "--role", "plain"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)


def on_gpu() -> bool:
    """Tell whether there is a GPU, without taking it."""
    import torch

    return torch.cuda.is_available()


def plain_fits(options: argparse.Namespace) -> list[tuple[Setting, float]]:
    """Fit one network after another by a plain Lightning script; time each, imports left out."""
    import lightning as L
    import torch
    from torch import nn
    from torch.utils.data import ConcatDataset, DataLoader, Subset
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    from gansfp.features.backbones import BackboneSpec, build_model

    class Plain(L.LightningModule):
        def __init__(self, name: str, lr: float) -> None:
            super().__init__()
            spec = BackboneSpec(f"tf_efficientnet_{name}", weights="lite")
            model: Any = build_model(spec.name, spec.weights, 0)
            model.reset_classifier(6)
            self.model, self.lr = model, lr

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: Any, _: int) -> None:
            right = (self.model(batch[0]).argmax(dim=1) == batch[1]).float().mean()
            self.log("val_accuracy", right)

        def predict_step(self, batch: Any, _: int) -> torch.Tensor:
            return self.model(batch[0]).softmax(dim=1)

        def configure_optimizers(self) -> Any:
            optimiser = torch.optim.Adam(self.parameters(), lr=self.lr)
            steps = int(self.trainer.estimated_stepping_batches)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.lr, total_steps=steps)
            return [optimiser], [{"scheduler": schedule, "interval": "step"}]

    look = transforms.Compose(
        [
            transforms.Grayscale(3),
            transforms.Resize((options.size, options.size)),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    root = benchmark_folder(options)
    made, test = (
        ImageFolder(str(root / "train/generated"), look),
        ImageFolder(str(root / "test"), look),
    )
    real = ImageFolder(str(root / "train/real"), look, target_transform=lambda _: 5)
    order = torch.randperm(len(made), generator=torch.Generator().manual_seed(0)).tolist()
    held_out = Subset(made, order[: len(made) // 5])
    train = ConcatDataset([Subset(made, order[len(made) // 5 :]), real])
    fits = grid(options)
    wanted = options.plain or len(fits)
    chosen = [fits[round(n * (len(fits) - 1) / max(1, wanted - 1))] for n in range(wanted)]
    timed = []
    for name, lr, batch in chosen:
        start = time.perf_counter()
        workers = {"num_workers": options.workers, "pin_memory": on_gpu()}
        trainer = L.Trainer(
            max_epochs=options.epochs,
            accelerator="auto",
            devices=1,
            precision="bf16-mixed" if on_gpu() else "32-true",
            logger=False,
            enable_checkpointing=False,
            limit_train_batches=TINY_BATCHES if options.tiny else None,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        module = Plain(name, float(lr))
        loaders = (
            DataLoader(train, batch, shuffle=True, drop_last=True, **workers),
            DataLoader(held_out, 64, **workers),
        )
        trainer.fit(module, *loaders)
        trainer.predict(module, DataLoader(test, 64, **workers))
        timed.append(((name, lr, batch), time.perf_counter() - start))
    return timed


if __name__ == "__main__":
    main()
