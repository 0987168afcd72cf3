"""Denoising by the workers of a dask.distributed cluster, over a disk they share.

Each worker does parts of the tiles as `napari-cosdd denoise --part` does. What is sent
to it are names of files and settings; pixels go by way of the disk.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_cosdd.api import load
from napari_cosdd.data.image import Image
from napari_cosdd.data.inputs import as_images
from napari_cosdd.errors import BadInputError, SavingError
from napari_cosdd.events import Denoised, Event, TileDone
from napari_cosdd.inference.config import InferenceConfig
from napari_cosdd.on_disk import Part, denoising_on_disk
from napari_cosdd.results import ResultPaths
from napari_cosdd.training.checkpoint import TrainedModel

#: Parts for each worker: more than one, so that a slow worker does fewer.
PARTS = 4
#: How often the parts are looked at, seconds.
POLL = 0.1


@dataclass(frozen=True)
class Order:
    """What to denoise, in words that another machine understands.

    Attributes
    ----------
    model, image : Path
        Files on a disk that all workers see.
    axes : str or None
        Of the image; None: as its file says.
    name : str
        Of the image in what is written.
    paths : ResultPaths
        What to write, on the same disk.
    config : InferenceConfig
        Settings.
    provenance : mapping
        For the metadata of the results.
    dtype, mask
        As in `denoising`.
    """

    model: Path
    image: Path
    axes: str | None
    name: str
    paths: ResultPaths
    config: InferenceConfig
    provenance: Mapping[str, Any]
    dtype: str = "float32"
    mask: bool = False

    def open(self) -> Image:
        """Open the image."""
        return replace(as_images(self.image, self.axes)[0], name=self.name)

    def on_disk(
        self,
        model: TrainedModel,
        image: Image,
        part: Part | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Event]:
        """Denoise tile by tile with the model and the image opened."""
        return denoising_on_disk(
            model,
            image,
            self.paths,
            self.config,
            self.provenance,
            dtype=self.dtype,
            mask=self.mask,
            part=part,
            stop=stop,
        )


def do_part(order: Order, part: Part) -> list[Path]:
    """Denoise a part of the tiles; return the images if that completed them."""
    events = order.on_disk(load(order.model), order.open(), part)
    return [path for e in events if isinstance(e, Denoised) for path in e.result]


def denoising_on_cluster(
    address: str, order: Order, stop: Callable[[], bool] = lambda: False
) -> Iterator[Event]:
    """Denoise as a stream of events; the last is Denoised, with the images written.

    Parameters
    ----------
    address : str
        Of the scheduler, such as tcp://10.0.0.1:8786.

    Raises
    ------
    BadInputError
        If dask.distributed is not installed, nobody answers at the address, or there
        are no workers.
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
        n = PARTS * len(client.nthreads())
        if not n:
            raise BadInputError(f"the scheduler at {address} has no workers")
        left = {
            client.submit(do_part, order, Part(i, n), pure=False)
            for i in range(1, n + 1)
        }
        written: list[Path] = []
        while left:
            if stop():
                client.cancel(list(left))
                return
            for future in [f for f in left if f.done()]:
                left.remove(future)
                written += future.result()
                done, spent = n - len(left), time.perf_counter() - began
                yield TileDone(0, (), done, n, spent, spent * len(left) / done)
            time.sleep(POLL)
    if not written:
        raise SavingError(f"{order.name}: not all tiles were written; run it again")
    yield Denoised(written)
