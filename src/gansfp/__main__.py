"""`python -m gansfp`."""

from __future__ import annotations

from gansfp.cli import main

main()
