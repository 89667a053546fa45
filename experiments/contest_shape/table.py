"""Print the tables of README.md from results.csv.

python experiments/contest_shape/table.py [RESULTS]
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

COLUMNS = ("step", "experiment", "seconds", "cpu_seconds", "peak_gb", "own_peak_gb")


def main() -> None:
    given = sys.argv[1:] or [str(Path(__file__).with_name("results.csv"))]
    with Path(given[0]).open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    done = [row for row in rows if row["status"] == "0"]
    wall, cpu = (sum(float(row[key]) for row in rows) / 3600 for key in ("seconds", "cpu_seconds"))
    print(
        f"{len(rows)} commands, {len(done)} of them done; {wall:.2f} hours, {cpu:.2f} of CPU time;"
    )
    print("peak {peak_gb} GB resident, {own_peak_gb} GB own".format(**largest(done, "peak_gb")[0]))
    for key in ("cpu_seconds", "own_peak_gb"):
        print(f"\nLargest {key}\n")
        print_rows(largest(done, key)[:10])
    print("\nNot done\n")
    print_rows([row for row in rows if row["status"] != "0"])


def largest(rows: list[dict[str, str]], key: str) -> list[dict[str, str]]:
    return sorted(rows, key=lambda row: -float(row[key]))


def print_rows(rows: list[dict[str, str]]) -> None:
    print("| task | " + " | ".join(COLUMNS) + " |")
    print("| --- " * (len(COLUMNS) + 1) + "|")
    for row in rows:
        print("| " + " | ".join([row["task"], *(row[column] for column in COLUMNS)]) + " |")


if __name__ == "__main__":
    main()
