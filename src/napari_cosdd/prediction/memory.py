"""Number of pixels, and of samples at once, that fit into memory."""

import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from napari_cosdd.devices import available_bytes
from napari_cosdd.methods.base import Method
from napari_cosdd.methods.capabilities import Predicts, SamplesSignal
from napari_cosdd.prediction.latent_noise import PositionNoise

#: Share of the free memory to use.
SHARE = 0.6
#: Factor for memory beside tensors.
BESIDE = 1.5
#: Largest number of samples at once on a CPU: a mirrored pair shares its noise, and
#: caches are too small for more (docs/measurements.md, Speed).
ON_CPU = 2
#: The same on a GPU.
ON_GPU = 16
#: Result of `sample_bytes` by network.
_KNOWN: "weakref.WeakKeyDictionary[Method[Any], float]" = weakref.WeakKeyDictionary()
#: Side of the tile that memory is measured on, pixels.
TRIED = 64


def sample_bytes(method: Method[Any], device: torch.device) -> float:
    """Return the peak memory of one sample, or one pass, in bytes per pixel.

    It is measured on a small tile, since it is proportional to the number of pixels.
    """
    size = [-(-TRIED // m) * m for m in method.tile_multiple()]
    if len(size) == 3:
        size[0] = method.tile_multiple()[0]
    x = torch.zeros(1, method.spec.n_channels, *size, device=device)
    with torch.inference_mode(), PeakMemory() as memory:
        if isinstance(method, SamplesSignal):
            noise = PositionNoise([0], size, device)
            method.sample_posterior(method.encode(x), noise)
        elif isinstance(method, Predicts):
            method.predict(x)
    return memory.most / (x.numel() / x.shape[1])


def samples_at_once(method: Method[Any], pixels: int, device: torch.device) -> int:
    """Return the number of samples of a tile to draw at once, at least one."""
    most = ON_CPU if device.type == "cpu" else ON_GPU
    return max(1, min(most, room_for(method, device) // pixels))


def room_for(method: Method[Any], device: torch.device) -> int:
    """Return the largest number of pixels for which a sample fits into memory."""
    if method not in _KNOWN:
        _KNOWN[method] = sample_bytes(method, device)
    return int(SHARE * available_bytes(device) / (BESIDE * _KNOWN[method]))


class PeakMemory(TorchDispatchMode):
    """Measures the peak of the memory of all live tensors, bytes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live: Counter[int] = Counter()
        self.now = self.most = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._take(leaf)
        return result

    def _take(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        where, size = storage.data_ptr(), storage.nbytes()
        if not self.live[where]:
            self.now += size
            self.most = max(self.most, self.now)
        self.live[where] += 1
        weakref.finalize(tensor, self._let_go, where, size)

    def _let_go(self, where: int, size: int) -> None:
        self.live[where] -= 1
        if not self.live[where]:
            self.now -= size
