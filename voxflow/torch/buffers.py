"""What a model keeps beside its parameters, such as running means: kept, and put back."""

from __future__ import annotations

from operator import is_

import torch


class KeptBuffers:
    """The buffers of a model as they were, in memory that is used again and again.

    Parameters
    ----------
    model
        The model.

    Examples
    --------
    >>> model = torch.nn.BatchNorm1d(1)
    >>> kept = KeptBuffers(model)
    >>> _ = model(torch.rand(4, 1))
    >>> kept.put_back()
    >>> model.running_mean
    tensor([0.])
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        # Looking through all modules at each step would take longer than the copies.
        self._owners = [m for m in model.modules() if any(True for _ in m.buffers(recurse=False))]
        self._known: list[torch.Tensor] = []
        self._kept: list[torch.Tensor] = []
        self.keep()

    def keep(self) -> None:
        """Keep them as they are now."""
        # Nothing here has a history, so that `torch.no_grad`, which takes its time, is not needed.
        buffers = self._buffers()
        # The same tensors as before need no look at each of them.
        if not (len(buffers) == len(self._known) and all(map(is_, buffers, self._known))):
            self._keep_new(buffers)
        elif buffers:
            torch._foreach_copy_(self._kept, self._known)

    def _keep_new(self, buffers: list[torch.Tensor]) -> None:
        # Copies of what has a history would have one, too.
        self._known = [] if any(buffer.requires_grad for buffer in buffers) else buffers
        self._kept = [buffer.detach().clone() for buffer in buffers]

    @torch.no_grad()
    def put_back(self) -> None:
        """Let the model have those that were kept last."""
        for buffer, kept in zip(self._buffers(), self._kept, strict=True):
            buffer.copy_(kept)

    def _buffers(self) -> list[torch.Tensor]:
        return [b for owner in self._owners for b in owner._buffers.values() if b is not None]
