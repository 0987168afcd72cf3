"""Predictions larger than memory: OME-Zarr images, filled tile by tile on disk.

One process, or several that share a disk, fill one folder `NAME.partial`, each with
tiles of its own. A file marks each tile that is done, so an interrupted run goes on
where it was. Whoever finds all tiles done gives the images their names.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from napari_cosdd.axes import Stack
from napari_cosdd.data.files import beside, write_json
from napari_cosdd.data.image import Image
from napari_cosdd.data.inputs import stack_of
from napari_cosdd.data.ome_zarr import create_zarr, replace_folder
from napari_cosdd.errors import BadInputError, SavingError
from napari_cosdd.events import Denoised, Event, TileDone, Warned
from napari_cosdd.inference.config import InferenceConfig
from napari_cosdd.inference.denoise import (
    Outputs,
    check_fits,
    denoise,
    gives_samples,
)
from napari_cosdd.inference.suits import differences
from napari_cosdd.inference.tiler import Tile
from napari_cosdd.inference.tiles import tiles_for
from napari_cosdd.prediction import result_type
from napari_cosdd.results import ResultPaths, provenance_of, title_of
from napari_cosdd.training.checkpoint import TrainedModel

#: Chunks are as wide as tiles, so that no two tiles write to one; or a whole part of
#: the tile, beyond so many pixels.
WIDEST = 2048
#: Images, and boxes along their axes, that an image is known again by; their side, px.
LOOKED_AT, BOX = 4, 64


@dataclass(frozen=True)
class Part:
    """A share of the tiles: number `index` of `count`, counted from 1."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Read "2/8".

        Raises
        ------
        BadInputError
            If it is not two numbers, the first within the second.
        """
        numbers = text.split("/")
        if len(numbers) == 2 and all(n.strip().isdecimal() for n in numbers):
            index, count = map(int, numbers)
            if 1 <= index <= count:
                return cls(index, count)
        raise BadInputError(f"part {text!r}: expected two numbers such as 2/8")

    def holds(self, i: int) -> bool:
        """Whether this part is to do tile `i`."""
        return i % self.count == self.index - 1


def denoising_on_disk(
    model: TrainedModel,
    image: Image,
    paths: ResultPaths,
    config: InferenceConfig,
    provenance: Mapping[str, Any],
    *,
    dtype: str = "float32",
    mask: bool = False,
    part: Part | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Denoise into OME-Zarr images on disk, as a stream of events.

    Memory is needed for a tile at a time. The last event is Denoised, with the
    images written; with none, if tiles of other parts are still to come.

    Raises
    ------
    BadInputError
        If a partial result of other settings is there.
    SavingError
        If the disk is full or cannot be written to.
    """
    source = stack_of(image, model.spec.ndim, mask)
    check_fits(model, source, config.direct)
    tiles = tiles_for(model, source, config)
    work = [(n, tile) for n in range(source.n_images) for tile in tiles]
    share = [i for i in range(len(work)) if (part or Part()).holds(i)]
    if not share:
        yield Denoised([])  # more parts than tiles
        return
    folder = _Folder(paths, model, image, config, dtype, mask, provenance)
    try:
        if folder.was_finishing():  # the end of an earlier run was cut off
            yield Denoised(folder.publish())
            return
        if part is not None and folder.was_published():
            yield Denoised([])  # the others were faster
            return
        folder.open(tiles[0])
        yield from map(Warned, differences(model, image))
        todo = [i for i in share if not folder.is_done(i)]
        already = len(work) - len(todo)
        if part is None and already:
            yield Warned(f"going on: {already} of {len(work)} tiles are done")
        outputs = folder.outputs()
        mine = [work[i] for i in todo]
        done = 0
        for event in denoise(
            model, source, outputs, config, work=mine, live=False, stop=stop
        ):
            if isinstance(event, TileDone):
                folder.mark(todo[done])
                done += 1
            if not isinstance(event, Denoised):
                yield event
        if done < len(mine):
            return  # stopped
        yield Denoised(folder.finish() if folder.all_done(len(work)) else [])
    except OSError as error:
        raise SavingError(
            f"{folder.path} could not be written: {error}; what is done stays, the "
            "same command goes on with it"
        ) from error


class _Folder:
    """The folder of a prediction that is being made."""

    def __init__(
        self,
        paths: ResultPaths,
        model: TrainedModel,
        image: Image,
        config: InferenceConfig,
        dtype: str,
        mask: bool,
        provenance: Mapping[str, Any],
    ) -> None:
        self.paths, self.image, self.ndim = paths, image, model.spec.ndim
        name = paths.mean.name.removesuffix("-mean.zarr")
        self.path = paths.mean.with_name(f"{name}.partial")
        self.finished = paths.mean.with_name(f"{name}.finished")
        self.provenance = provenance
        names = ["mean"]
        if gives_samples(model.method, config):
            names += ["deviation"] if config.n_samples > 1 else []
            names += [f"sample {k + 1}" for k in range(config.n_kept)]
        self.parts = paths.of(names)
        kind = result_type(image, dtype)
        self.kinds = dict.fromkeys(self.parts, kind)
        self.kinds["deviation"] = np.dtype(np.float32)
        self.job = {
            "model": model.fingerprint,
            "settings": config.model_dump(exclude={"device", "batch_size"}),
            "source": [image.name, image.axes, list(image.data.shape)],
            "source_type": str(image.data.dtype),
            "pixels": _digest(image),
            "type": dtype,
            "mask": mask,
        }

    def open(self, tile: Tile) -> None:
        """Make the folder with empty images, or check the one that is there."""
        if not self.path.exists():
            self._make(tile)
        self._check(self.path)

    def _check(self, path: Path) -> None:
        """Refuse to go on with what is not ours."""
        found = json.loads((path / "job.json").read_text(encoding="utf-8"))
        if found != self.job:
            raise BadInputError(
                f"{path} holds a partial result of another model, image or "
                "other settings; go on with those, or remove the folder"
            )

    def _make(self, tile: Tile) -> None:
        """Make it under another name first: other parts may do so at the same time."""
        temporary = beside(self.path)
        try:
            (temporary / "done").mkdir(parents=True)
            sizes = Stack(self.image.data, self.image.axes, self.ndim).size
            width = [
                _chunk(s.stop - s.start, alone=s.stop - s.start == size)
                for s, size in zip(tile.core, sizes, strict=True)
            ]
            for part, path in self.parts.items():
                title = title_of(self.image, part)
                image = self.image.with_data(self.image.data, title)
                made = temporary / path.name
                create_zarr(made, image, self.kinds[part], width)
                said = provenance_of(self.image, part, self.provenance)
                attributes: Any = zarr.open_group(made, mode="r+").attrs
                attributes["napari_cosdd"] = said
                attributes["napari_cosdd_job"] = self.job
            write_json(temporary / "job.json", self.job)
            with suppress(OSError):  # another part may be first
                temporary.rename(self.path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def outputs(self) -> Outputs:
        """Return the images to write to."""
        stacks = {
            part: Stack(self._array(path), self.image.axes, self.ndim)
            for part, path in self.parts.items()
        }
        mean, deviation = stacks.pop("mean"), stacks.pop("deviation", None)
        return Outputs(mean, deviation, tuple(stacks.values()))

    def _array(self, path: Path) -> Any:
        group: Any = zarr.open_group(self.path / path.name, mode="r+")
        return group["0"]

    def mark(self, i: int) -> None:
        """Remember that a tile is written."""
        (self.path / "done" / str(i)).touch()

    def is_done(self, i: int) -> bool:
        """Whether a tile was written, by whomever."""
        return (self.path / "done" / str(i)).exists()

    def all_done(self, n: int) -> bool:
        """Whether all `n` tiles are written; not where another part has finished."""
        return all(self.is_done(i) for i in range(n))

    def finish(self) -> list[Path]:
        """Give the images their names; return those, none if another part does."""
        try:
            self.path.rename(self.finished)
        except FileNotFoundError:
            return []
        return self.publish()

    def was_finishing(self) -> bool:
        """Whether an earlier run left images without their names; clear up else."""
        if not self.finished.exists():
            return False
        found = {path.name for path in self.finished.iterdir()}
        images = {path.name for path in self.parts.values()}
        if "job.json" in found and found & images:
            return True
        if found <= images | {"job.json", "done"}:  # else it is not ours
            shutil.rmtree(self.finished, ignore_errors=True)
        return False

    def was_published(self) -> bool:
        """Whether other parts have done it all, and given the images their names."""
        if self.path.exists():
            return False
        try:
            made = [zarr.open_group(p, mode="r") for p in self.parts.values()]
        except (OSError, ValueError):
            return False
        return all(group.attrs.get("napari_cosdd_job") == self.job for group in made)

    def publish(self) -> list[Path]:
        """Move the images out of the finished folder; what was moved already stays."""
        self._check(self.finished)
        for path in self.parts.values():
            made = self.finished / path.name
            with suppress(FileNotFoundError):  # moved already, or by another part
                if made.exists():
                    replace_folder(made, path)
        shutil.rmtree(self.finished, ignore_errors=True)
        return list(self.parts.values())


def _chunk(width: int, *, alone: bool) -> int:
    """Return the widest chunk that a tile is a multiple of; any for a single tile."""
    if alone:
        return min(width, WIDEST)
    fewest = -(-width // WIDEST)
    return width // next(k for k in range(fewest, width + 1) if width % k == 0)


def _digest(image: Image) -> str:
    """Return a hash of some of the pixels: other images of this name differ in it."""
    source = Stack(image.data, image.axes, 2 if "Y" in image.axes else 1)
    digest = hashlib.sha256()
    for n, box in source.boxes(LOOKED_AT, LOOKED_AT, BOX):
        digest.update(np.ascontiguousarray(source.read(n, box)).tobytes())
    return digest.hexdigest()
