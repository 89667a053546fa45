"""`gansfp power`: what a test set of so many images can see."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gansfp.errors import UserError
from gansfp.evaluation.power import (
    MOST_IMAGES,
    images_needed,
    kappa_power,
    smallest_auroc,
    smallest_kappa,
)

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(config: DictConfig) -> None:
    """Print with what probability an effect is seen, and which is the smallest.

    Args:
        config: `conf/power.yaml`, composed and checked: used, unused, kappa, power, alpha, tests.

    Raises:
        UserError: A number is impossible.
    """
    used, unused = int(config.used), int(config.unused)
    if min(used, unused) < 1:
        raise UserError(f"used={used} unused={unused}: at least 1 of each")
    for key in ("kappa", "power", "alpha"):
        value = config[key]
        if value is not None and not 0.0 < value < 1.0:
            raise UserError(f"{key}={value}: must lie between 0 and 1")
    if config.tests < 1:
        raise UserError(f"tests={config.tests}: at least 1")
    lines = describe(used, unused, config.kappa, config.power, config.alpha, config.tests)
    sys.stdout.write("\n".join(lines) + "\n")


def describe(
    used: int, unused: int, kappa: float | None, power: float, alpha: float, tests: int
) -> list[str]:
    """Word what can be seen.

    Args:
        used: Images (patients, where they have several) that were used.
        unused: That were not.
        kappa: An effect to be asked about, or None.
        power: Probability at which an effect counts as seen.
        alpha: Level of the two-sided test, for all tests together.
        tests: Number of methods, corrected for by Bonferroni.
    """
    level = alpha / tests
    several = f" for {tests} methods (Bonferroni)" if tests > 1 else ""
    lines = [f"{used} used and {unused} other images, two-sided at {alpha:g}{several}:"]
    if kappa is not None:
        seen = kappa_power(kappa, used, unused, level)
        lines.append(f"  kappa {kappa:g} is seen with probability {seen:.2f}")
        wanted = images_needed(kappa, used / (used + unused), power, level)
        lines.append(
            f"  with probability {power:g} it takes "
            + (f"{wanted} images" if wanted else f"more than {MOST_IMAGES} images")
            + ", the same share used"
        )
    for name, smallest in (
        ("kappa", smallest_kappa(used, unused, power, level)),
        ("AUROC", smallest_auroc(used, unused, power, level)),
    ):
        what = "none is" if smallest is None else f"{smallest:.3f}"
        lines.append(f"  smallest {name} that is seen with probability {power:g}: {what}")
    return lines
