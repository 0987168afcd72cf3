"""Denoising by the workers of a dask.distributed cluster, through a shared disk.

Each worker denoises shares of the tiles, as `napari-cosdd denoise --share` does. It
receives file names and settings; pixels pass through the disk.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from napari_cosdd.errors import BadInputError, SavingError
from napari_cosdd.events import Event, TileDone, Written
from napari_cosdd.models.load import load
from napari_cosdd.prediction.batch import ImageFile
from napari_cosdd.prediction.on_disk import denoising_on_disk
from napari_cosdd.prediction.request import DenoiseRequest, Share

#: Number of shares per worker: several, so that slow workers take fewer of them.
SHARES = 4
#: Interval at which finished shares are polled, seconds.
POLL = 0.1


def do_share(
    model: Path, image: ImageFile, request: DenoiseRequest, share: Share
) -> tuple[Path, ...]:
    """Denoise a share of the tiles; return the images if it completes them."""
    opened = image.open()
    for event in denoising_on_disk(load(model), opened, request, share=share):
        if isinstance(event, Written):
            return event.paths
    raise RuntimeError("denoising ended without a result")


def denoising_on_cluster(
    address: str,
    model: Path,
    image: ImageFile,
    request: DenoiseRequest,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Denoise as a stream of events; the last is Written, with the images.

    Parameters
    ----------
    address : str
        Address of the scheduler, such as tcp://10.0.0.1:8786.
    model : Path
        Model file, on a disk that all workers see.
    image : ImageFile
        Image, on such a disk, too.
    request : DenoiseRequest
        Outputs and settings; the paths are on the shared disk.
    stop : callable
        Polled while the workers work; True ends without Written.

    Raises
    ------
    BadInputError
        If dask.distributed is not installed, no scheduler answers at the address, or
        it has no workers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise BadInputError(
            "a cluster needs dask.distributed: pip install distributed"
        ) from error
    try:
        client = Client(address, timeout="20s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise BadInputError(f"no scheduler answers at {address} ({error})") from error
    began = time.perf_counter()
    with client:
        n = SHARES * len(client.nthreads())
        if not n:
            raise BadInputError(f"the scheduler at {address} has no workers")
        left = {
            client.submit(do_share, model, image, request, Share(i, n), pure=False)
            for i in range(1, n + 1)
        }
        written: tuple[Path, ...] = ()
        while left:
            if stop():
                client.cancel(list(left))
                return
            for future in [f for f in left if f.done()]:
                left.remove(future)
                written += future.result()
                done, spent = n - len(left), time.perf_counter() - began
                yield TileDone(done, n, spent, spent * len(left) / done)
            time.sleep(POLL)
    if not written:
        raise SavingError(f"{image.name}: not all tiles were written; run it again")
    yield Written(written)
