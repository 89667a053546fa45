"""CUDA graphs: a training step that the host starts once and not kernel by kernel.

Small images on a large GPU take less time to compute than to launch; a recorded graph is launched
as a whole (PyTorch manual, "CUDA Graphs: whole-network capture").
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Function = Callable[..., tuple[Tensor, ...]]


class StepGraph:
    """Calls a function of tensors; on a GPU it records the call once and replays it from then on.

    The function must read nothing but its arguments and tensors that stay where they are (weights,
    buffers, optimiser state), and must not wait for the GPU. The shapes of the arguments stay.

    The first calls are ordinary ones, which set up what must not be set up during a recording;
    recording itself computes nothing. So no weight moves more often than without a graph. What a
    replay returns is overwritten by the next.

    Args:
        function: Takes and returns tensors.
    """

    WARMUP = 3

    def __init__(self, function: Function) -> None:
        self._function = function
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._outputs: tuple[Tensor, ...] = ()
        self._failed = False

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Call the function, or replay it with new numbers."""
        if self._failed or inputs[0].device.type != "cuda":
            return self._function(*inputs)
        if self._calls < self.WARMUP:
            self._calls += 1
            return self._aside(inputs)
        if self._graph is None and not self._record(inputs):
            return self._function(*inputs)
        for kept, new in zip(self._inputs, inputs, strict=True):
            kept.copy_(new, non_blocking=True)
        if self._graph is None:
            raise RuntimeError("no graph was recorded")
        self._graph.replay()
        return self._outputs

    def _aside(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Call on a stream of its own, as the manual wants it before a recording."""
        stream, current = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            outputs = self._function(*inputs)
        current.wait_stream(stream)
        return outputs

    def _record(self, inputs: tuple[Tensor, ...]) -> bool:
        self._inputs = tuple(one.clone() for one in inputs)
        graph = torch.cuda.CUDAGraph()
        # Casts that autocast has kept must lie neither before the recording nor after it.
        torch.clear_autocast_cache()
        try:
            with torch.cuda.graph(graph):
                self._outputs = self._function(*self._inputs)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            log.warning("no CUDA graph, training goes on without (%s)", reason)
            self._failed = True
        else:
            self._graph = graph
        torch.clear_autocast_cache()
        return not self._failed
