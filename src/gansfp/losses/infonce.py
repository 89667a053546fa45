"""InfoNCE with several positives, shared and own negatives, and a temperature for each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class InfoNCE(nn.Module):
    """Tell a query's positives from negatives by their cosine.

    loss = mean over queries of -log(sum_p exp(q.p / T) / (sum_p exp(q.p / T) + sum_n exp(q.n / T)))
    (van den Oord, Li and Vinyals, 2018; MoCo, He et al., CVPR 2020, has one positive and a queue of
    negatives; the softmax over several positives is that of run 1107 of ImageCLEFmedical GANs
    2025). Computed in fp32 at least, also under autocast: at a temperature of 0.05, cosines in
    bfloat16 would err by 0.08 of a logit.
    """

    def forward(
        self,
        query: Tensor,
        positives: Tensor,
        temperature: Tensor | float,
        negatives: Tensor | None = None,
        shared: Tensor | None = None,
    ) -> Tensor:
        """Compute the mean loss of a batch; vectors are expected at unit length.

        Args:
            query: Shape (B, D).
            positives: Of each query, shape (B, P, D).
            temperature: One number, or one for each query, shape (B,).
            negatives: Of each query, shape (B, M, D).
            shared: Negatives of all queries, shape (N, D).

        Returns:
            The mean, a scalar.
        """
        with torch.autocast(query.device.type, enabled=False):  # its products would be in bf16
            logits = self._cosines(at_least_single(query), positives, negatives, shared)
            if isinstance(temperature, torch.Tensor):
                temperature = at_least_single(temperature).reshape(-1, 1)
            scaled = torch.cat(logits, dim=1) / temperature
            found = scaled[:, : positives.shape[1]]
            return (scaled.logsumexp(dim=1) - found.logsumexp(dim=1)).mean()

    @staticmethod
    def _cosines(
        query: Tensor, positives: Tensor, negatives: Tensor | None, shared: Tensor | None
    ) -> list[Tensor]:
        """Multiply queries with each kind of keys, the positives first: shapes (B, P), ..."""
        cosines = [torch.einsum("bd,bpd->bp", query, at_least_single(positives))]
        if negatives is not None:
            cosines.append(torch.einsum("bd,bmd->bm", query, at_least_single(negatives)))
        if shared is not None:
            cosines.append(query @ at_least_single(shared).T)
        return cosines


def at_least_single(x: Tensor) -> Tensor:
    """Widen half precision to fp32; leave fp32 and fp64 alone."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
