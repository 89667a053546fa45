"""The few smallest values of the rows or columns of a large matrix, each read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

_GROUP = 8
"""Values whose minimum stands for them at first."""


def smallest(values: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Find the smallest values of each row.

    The `width` smallest lie in the `width` groups of smallest minimum, so that only these are
    sorted. A group is every (columns / 8)-th column: its minimum is one pass over memory in order.

    Args:
        values: Shape (n, columns).
        width: At most `columns`.

    Returns:
        Values, ascending, and their columns, both of shape (n, width).
    """
    columns = values.shape[1]
    groups = columns // _GROUP
    if groups < 2 * width:
        return values.topk(width, largest=False)
    whole = groups * _GROUP
    minima = torch.unflatten(values[:, :whole], 1, (_GROUP, groups)).amin(1)
    return _within(values, minima, whole, width)


def smallest_of_columns(values: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Find the smallest values of each column and their rows, both of shape (columns, width).

    As `smallest(values.T, width)`, but reads memory in its order.
    """
    rows = values.shape[0]
    groups = rows // _GROUP
    if groups < 2 * width:
        return values.T.topk(width, largest=False)
    whole = groups * _GROUP
    minima = torch.unflatten(values[:whole], 0, (_GROUP, groups)).amin(0).T.contiguous()
    return _within(values.T, minima, whole, width)


def at_most(values: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    """Find all values up to a limit of their row, few of many.

    Args:
        values: Shape (n, columns).
        limit: Shape (n,).

    Returns:
        Rows and columns, shape (found,), in no order.
    """
    columns = values.shape[1]
    groups = columns // _GROUP
    whole = groups * _GROUP
    minima = torch.unflatten(values[:, :whole], 1, (_GROUP, groups)).amin(1)
    row, group = (minima <= limit[:, None]).nonzero(as_tuple=True)
    column = group[:, None] + torch.arange(0, whole, max(groups, 1), device=values.device)
    row = row[:, None].expand_as(column)
    inside = values[row, column] <= limit[row]
    tail_row, tail = (values[:, whole:] <= limit[:, None]).nonzero(as_tuple=True)
    return torch.cat([row[inside], tail_row]), torch.cat([column[inside], tail + whole])


def _within(values: Tensor, minima: Tensor, whole: int, width: int) -> tuple[Tensor, Tensor]:
    """Sort the groups of smallest minimum, and what is left over after whole groups."""
    picked = minima.topk(width, largest=False, sorted=False).indices
    member = torch.arange(0, whole, minima.shape[1], device=values.device)
    found = (picked[:, None, :] + member[:, None]).flatten(1)
    if whole < values.shape[1]:
        tail = torch.arange(whole, values.shape[1], device=values.device)
        found = torch.cat([found, tail.expand(len(values), -1)], dim=1)
    best, order = values.gather(1, found).topk(width, largest=False)
    return best, found.gather(1, order)
