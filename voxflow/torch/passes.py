"""Forward passes of a model: one at a time on each device, of one block or of several."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch

from voxflow.torch.calls import arguments, capturing
from voxflow.torch.devices import choose_device, with_number
from voxflow.torch.modes import evaluating
from voxflow.torch.transfers import Transfers, transfers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from voxflow.pipeline.data import Array
    from voxflow.torch.calls import Name

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}

_lock = threading.Lock()
_device_locks: defaultdict[torch.device, threading.Lock] = defaultdict(threading.Lock)
_model_locks: WeakKeyDictionary[torch.nn.Module, threading.Lock] = WeakKeyDictionary()


@dataclass(eq=False)
class _Block:
    """What goes into a model for one block, and what came out of it."""

    names: tuple[Name, ...]
    sent: tuple[dict[Name, torch.Tensor], Any]
    outputs: dict[Name, torch.Tensor] = field(default_factory=dict)
    done: bool = False

    @property
    def layout(self) -> Any:
        """What blocks have in common that may share a pass."""
        tensors = self.sent[0].items()
        return self.names, [(name, tensor.shape, tensor.dtype) for name, tensor in tensors]


class Passes:
    """Runs a model for blocks, in evaluation mode and without gradients.

    Threads may ask at once. A device runs one pass at a time, also if several nodes use it, or one
    model. The device is chosen at the first pass, in the process that computes.

    Parameters
    ----------
    node
        Who asks, for messages.
    model
        The model.
    device
        As for `choose_device`.
    autocast
        "bfloat16", "float16" or None.
    compiled
        Arguments of ``torch.compile``; None: the model runs as it is.
    blocks_per_pass
        How many blocks are one pass.
    """

    def __init__(
        self,
        node: str,
        model: torch.nn.Module,
        device: str | torch.device,
        autocast: str | None,
        compiled: Mapping[str, Any] | None,
        blocks_per_pass: int,
    ) -> None:
        self._node = node
        self._model = model
        self._wanted_device = device
        self._autocast = autocast
        self._compile = compiled
        self._size = blocks_per_pass
        self._waiting: list[_Block] = []
        self._waiting_lock = threading.Lock()
        self._transfers: Transfers | None = None
        self._callable: Any = None

    def __call__(
        self, blocks: Sequence[Mapping[Name, NDArray[Any] | Array]], names: Sequence[Name]
    ) -> list[dict[Name, NDArray[Any]]]:
        """What the model says of blocks.

        Parameters
        ----------
        blocks
            For each, the arguments of the model.
        names
            Which outputs: indices, or names of submodules.

        Returns
        -------
        list[dict[Name, numpy.ndarray]]
            For each block, its outputs.
        """
        transfers = self._placed()
        mine = [_Block(tuple(names), transfers.send(block)) for block in blocks]
        with self._waiting_lock:
            self._waiting += mine
        try:
            with _owning(self._model, transfers.device):
                for block in mine:
                    if not block.done:  # by others, while this thread waited
                        self._serve(block, transfers)
        finally:
            # What nobody asks for any more, as one before it failed, would stay on the device.
            with self._waiting_lock:
                self._waiting = [block for block in self._waiting if block not in mine]
        return [{n: transfers.fetch(t) for n, t in b.outputs.items()} for b in mine]

    def _placed(self) -> Transfers:
        if self._transfers is None:
            self._transfers = transfers_of(with_number(choose_device(self._wanted_device)))
        return self._transfers

    def _serve(self, block: _Block, transfers: Transfers) -> None:
        company = self._company(block)
        try:
            self._pass(company, transfers)
        except Exception:
            if len(company) == 1:
                raise
            # Whoever is to blame shall be told, and nobody else: the others serve themselves.
            self._pass([block], transfers)

    def _company(self, block: _Block) -> list[_Block]:
        """Those that share the pass of a block: whoever waits already; nobody is waited for."""
        with self._waiting_lock:
            alike = [
                other
                for other in self._waiting
                if other is not block and other.layout == block.layout
            ]
            company = [block, *alike[: self._size - 1]]
            self._waiting = [other for other in self._waiting if other not in company]
        return company

    def _pass(self, blocks: list[_Block], transfers: Transfers) -> None:
        model = self._model_on(transfers.device)
        names = blocks[0].names
        with (
            torch.no_grad(),
            transfers.computing([block.sent for block in blocks]),
            evaluating(self._model),
            capturing(self._node, model, names) as call,
            self._precision(transfers.device),
        ):
            positional, named = arguments(self._together(blocks))
            with self._explaining():
                outputs = call(*positional, **named)
            for name in names:
                self._hand_out(name, self._widened(outputs[name]), blocks)
        for block in blocks:
            block.done = True

    def _precision(self, device: torch.device) -> AbstractContextManager[Any]:
        if self._autocast is None:
            return nullcontext()
        return torch.autocast(device.type, HALVES[self._autocast])

    def _model_on(self, device: torch.device) -> Any:
        tensors = itertools.chain(self._model.parameters(), self._model.buffers())
        if any(tensor.device != device for tensor in tensors):
            self._model.to(device)
        if self._callable is None:
            with self._explaining():
                self._callable = (
                    self._model
                    if self._compile is None
                    else torch.compile(self._model, **self._compile)
                )
        return self._callable

    def _together(self, blocks: list[_Block]) -> dict[Name, torch.Tensor]:
        """One batch, always of the same size: what a block gets does not depend on company."""
        if self._size == 1:
            return blocks[0].sent[0]
        padded = [*blocks, *[blocks[0]] * (self._size - len(blocks))]
        for name, tensor in blocks[0].sent[0].items():
            if tensor.ndim == 0 or tensor.shape[0] != 1:
                raise ValueError(
                    f"{self._node}: blocks_per_pass={self._size} puts blocks together along the "
                    f"first axis of each input, which has to be of size 1; input {name!r} has the "
                    f"shape {tuple(tensor.shape)}. Unsqueeze or Stack(1) upstream adds such an axis"
                )
        return {name: torch.cat([b.sent[0][name] for b in padded]) for name in blocks[0].sent[0]}

    def _hand_out(self, name: Name, output: torch.Tensor, blocks: list[_Block]) -> None:
        if self._size == 1:
            # The model may write its next output to the same place, as graphs of a compiled one do.
            blocks[0].outputs[name] = output.clone()
            return
        if output.ndim == 0 or output.shape[0] != self._size:
            raise ValueError(
                f"{self._node}: of {self._size} blocks in one pass the model made an output "
                f"{name!r} of the shape {tuple(output.shape)}; its first axis has to be that of "
                "the blocks"
            )
        for i, block in enumerate(blocks):
            block.outputs[name] = output[i : i + 1].clone()  # lest one keeps the memory of all

    def _widened(self, output: torch.Tensor) -> torch.Tensor:
        half = self._autocast is not None and output.dtype in HALVES.values()
        return output.float() if half else output

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Say of an error that the model was compiled."""
        try:
            yield
        except Exception as error:
            if self._compile is not None:
                error.add_note(
                    f"{self._node}: the model is compiled (compile={dict(self._compile)}); leave "
                    "`compile` out to see whether that is the reason, or choose another backend"
                )
            raise


@contextmanager
def _owning(model: torch.nn.Module, device: torch.device) -> Iterator[None]:
    """Be the only one that uses a model and a device."""
    with _lock:
        locks = _model_locks.setdefault(model, threading.Lock()), _device_locks[device]
    with locks[0], locks[1]:
        yield
