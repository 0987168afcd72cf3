"""Devices to compute on: CUDA, Apple's MPS or the CPU."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from threading import Lock

import torch
from torch import nn

from napari_cosdd.errors import BadInputError, DeviceLostError
from napari_cosdd.host_memory import free_host_bytes
from napari_cosdd.remedies import Remedy

#: Code of glibc's mallopt for the size of free memory that is given back.
M_TRIM_THRESHOLD = -1
#: Code of glibc's mallopt for the size from which blocks are mapped.
M_MMAP_THRESHOLD = -3
#: Size from which blocks are mapped while freed memory is kept, bytes.
KEPT = 256 << 20
#: The same by glibc's default, bytes.
MAPPED = 32 << 20


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name, or the fastest one for "auto".

    Raises
    ------
    BadInputError
        If the device is not available.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if _metal_computes() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BadInputError(
            f"device {name!r} is not available here; expected one of: "
            f"{', '.join(available_devices())}"
        ) from error
    return device


def available_devices() -> list[str]:
    """Return the names of the devices of this machine."""
    names = ["cpu"]
    if _metal_computes():
        names.insert(0, "mps")
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return cuda + names


@cache
def _metal_computes() -> bool:
    """Whether Apple's GPU is there and computes: in a virtual machine it may not."""
    if not torch.backends.mps.is_available():
        return False
    try:
        images, kernel = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)
        torch.nn.functional.conv2d(images.to("mps"), kernel.to("mps")).cpu()
    except RuntimeError:
        return False
    return True


#: Held by the thread that computes on Apple's GPU, and by the one whose turn is next.
_COMPUTING, _NEXT = Lock(), Lock()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one thread at a time compute, in turn, where that is Apple's GPU.

    Two threads that use Metal at a time may end the program (pytorch issue 197805).
    """
    if not _metal_computes():
        yield
        return
    with _NEXT:  # so that the thread that ends does not begin again at once
        _COMPUTING.acquire()
    try:
        yield
    finally:
        _COMPUTING.release()


@contextmanager
def told_if_lost(what_stays: str) -> Iterator[None]:
    """Turn the failure of a GPU into an error that says what is preserved."""
    try:
        yield
    except torch.AcceleratorError as error:
        if is_out_of_memory(error):
            raise
        raise DeviceLostError(
            f"the GPU stopped working ({str(error).splitlines()[0]}): start the "
            f"program again, on the CPU if it happens again ({Remedy.DEVICE_CPU}); "
            f"{what_stays}"
        ) from error


class _Use:
    """The users of networks, and the weights on the CPU to return to."""

    def __init__(self, module: nn.Module) -> None:
        self.kept = {key: value.detach() for key, value in module.state_dict().items()}
        self.count, self.moved = 0, False


_USES: dict[nn.Module, _Use] = {}
_LOCK = Lock()


@contextmanager
def on_device(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Move networks to a device; on exit they return to the CPU in any case.

    The weights are kept on the CPU, since a failed GPU cannot return them. Of several
    users of the same networks at a time, the last one to leave returns them.
    """
    with _LOCK:
        use = _USES.setdefault(module, _Use(module))
        use.count += 1
        use.moved = use.moved or device.type != "cpu"
    try:
        module.to(device)
        _keep_freed_memory(device.type == "cpu")
        with fast_math(device):
            yield
    finally:
        with _LOCK:
            use.count -= 1
            if not use.count:
                del _USES[module]
                if use.moved:
                    module.load_state_dict(use.kept, assign=True)
        _keep_freed_memory(False)
        with suppress(torch.AcceleratorError):
            release_cache(device)


def _keep_freed_memory(on: bool) -> None:
    """Let the program keep the memory of deleted tensors for new ones.

    By default glibc maps each block of 32 MB or more anew. The page faults take half
    of the time of a prediction.
    """
    if (library := _glibc()) is not None:
        library.mallopt(M_MMAP_THRESHOLD, KEPT if on else MAPPED)
        library.mallopt(M_TRIM_THRESHOLD, 4 * KEPT if on else 2 * MAPPED)


@cache
def _glibc() -> ctypes.CDLL | None:
    """Return the C library if it is glibc, whose allocator has settings."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    known = hasattr(library, "mallopt") and hasattr(library, "malloc_trim")
    return library if known else None


def describe_device(device: torch.device) -> str:
    """Describe `device` in words."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        return f"{torch.cuda.get_device_name(device)}, {total / 2**30:.0f} GB"
    if device.type == "mps":
        return "Apple GPU (MPS)"
    n = torch.get_num_threads()
    return f"CPU, {n} thread{'s' if n > 1 else ''}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` means that memory ran out, on any device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text
    )


@contextmanager
def fast_math(device: torch.device) -> Iterator[None]:
    """Context in which a GPU computes faster, and a little less exactly.

    Products of float32 numbers use TF32 (10 bits of mantissa, sums in float32), and
    the fastest convolution is chosen by trying. The effect on results is measured in
    docs/measurements.md.
    """
    if device.type != "cuda":
        yield
        return
    with _FAST_MATH:
        yield


class _FastMath:
    """Sets the switches of the process while at least one user computes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._before = False, False, False

    def __enter__(self) -> None:
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        with self._lock:
            if not self._users:
                self._before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
                matmul.allow_tf32 = cudnn.allow_tf32 = cudnn.benchmark = True
            self._users += 1

    def __exit__(self, *_: object) -> None:
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        with self._lock:
            self._users -= 1
            if not self._users:
                matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = self._before


_FAST_MATH = _FastMath()


@lru_cache(maxsize=256)
def constant(
    values: tuple[float, ...],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Return these values as a tensor on a device, which is made once.

    Making it copies from the CPU, which a CUDA graph cannot record.
    """
    with torch.inference_mode(False):  # gradients may need it later
        return torch.tensor(values, dtype=dtype, device=device)


def available_bytes(device: torch.device) -> int:
    """Return the free memory of a device, including what torch caches.

    On a CPU, the limit of a container or cluster job counts.
    """
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(
            device
        )
        return int(torch.cuda.mem_get_info(device)[0] + cached)
    if device.type == "mps":
        held = torch.mps.current_allocated_memory()
        free = int(torch.mps.recommended_max_memory() - held)
        return min(free, free_host_bytes())  # which it shares with all programs
    return free_host_bytes()


def release_cache(device: torch.device) -> None:
    """Give cached memory back to the device, or to the system."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    elif (library := _glibc()) is not None:
        library.malloc_trim(0)
