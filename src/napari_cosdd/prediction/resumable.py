"""The folder of an unfinished prediction on disk, for one or more processes."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import zarr

from napari_cosdd.errors import BadInputError, SavingError
from napari_cosdd.images.files import beside, rename, write_json
from napari_cosdd.images.formats.ome_zarr_writer import create_zarr, replace_folder
from napari_cosdd.images.image import Image
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.outputs import Output
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.earlier import WHERE, digest_of
from napari_cosdd.prediction.in_memory import output_type
from napari_cosdd.prediction.request import DenoiseRequest
from napari_cosdd.prediction.result_files import provenance_of, title_of
from napari_cosdd.prediction.tile_grid import Tile

#: Largest side of a chunk, pixels. A chunk is a tile, or a whole fraction of a wider
#: tile, so that no two tiles write to the same chunk.
WIDEST = 2048


class ResumableResult:
    """The folder `NAME.partial` of an unfinished prediction.

    Parameters
    ----------
    request : DenoiseRequest
        Outputs and settings; its paths are OME-Zarr images.
    model : TrainedModel
        Trained model.
    image : Image
        Noisy image.
    """

    def __init__(
        self, request: DenoiseRequest, model: TrainedModel, image: Image
    ) -> None:
        self.request, self.image, self.ndim = request, image, model.spec.ndim
        self.paths = request.paths
        self.path = request.partial
        self.finished = self.path.with_suffix(".finished")
        self.kinds = {
            output: output_type(model, image, request.dtype, output)
            for output in self.paths
        }
        self.job = {
            "model": model.fingerprint,
            "settings": request.config.model_dump(exclude=set(WHERE)),
            "source": [image.name, image.axes, list(image.data.shape)],
            "source_type": str(image.data.dtype),
            "pixels": digest_of(image),
            "type": request.dtype,
            "fill": model.filling(request.fill),
        }

    def open(self, tile: Tile) -> None:
        """Create the folder with empty images, or validate an existing one."""
        if self.path.exists() and not (self.path / "job.json").exists():
            shutil.rmtree(self.path, ignore_errors=True)  # the remains of a deletion
        if not self.path.exists():
            self._make(tile)
        self._check(self.path)

    def _check(self, path: Path) -> None:
        """Refuse a folder of another model, image or settings."""
        stored_job = json.loads((path / "job.json").read_text(encoding="utf-8"))
        if stored_job != self.job:
            raise BadInputError(
                f"{path} holds a partial result of another model, another image or "
                "other settings; give those again, or remove the folder"
            )

    def _make(self, tile: Tile) -> None:
        """Create the folder under a temporary name, as others may create it, too."""
        temporary = beside(self.path)
        try:
            (temporary / "done").mkdir(parents=True)
            sizes = Stack(self.image.data, self.image.axes, self.ndim).size
            width = [
                chunk_width(s.stop - s.start, alone=s.stop - s.start == size)
                for s, size in zip(tile.core, sizes, strict=True)
            ]
            for output, path in self.paths.items():
                title = title_of(self.image, output)
                image = self.image.with_result(self.image.data, title)
                zarr_path = temporary / path.name
                create_zarr(zarr_path, image, self.kinds[output], width)
                provenance = provenance_of(self.image, output, self.request.provenance)
                attributes: Any = zarr.open_group(zarr_path, mode="r+").attrs
                attributes["napari_cosdd"] = provenance
                attributes["napari_cosdd_job"] = self.job
            write_json(temporary / "job.json", self.job)
            with suppress(OSError):  # another process may be first
                rename(temporary, self.path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def targets(self) -> dict[Output, Stack]:
        """Return the images to write to."""
        return {
            output: Stack(self._array(path), self.image.axes, self.ndim)
            for output, path in self.paths.items()
        }

    def _array(self, path: Path) -> Any:
        group: Any = zarr.open_group(self.path / path.name, mode="r+")
        # zarr does not store this setting; without it black chunks count as lost.
        return group["0"].with_config({"write_empty_chunks": True})

    def mark(self, i: int) -> None:
        """Mark a tile as written."""
        (self.path / "done" / str(i)).touch()

    def is_done(self, i: int) -> bool:
        """Whether any process has written a tile."""
        return (self.path / "done" / str(i)).exists()

    def all_done(self, n: int) -> bool:
        """Whether all `n` tiles are written; False if the folder is finished."""
        return all(self.is_done(i) for i in range(n))

    def finish(self) -> tuple[Path, ...]:
        """Give the images their names; return them, or none if another process does.

        Raises
        ------
        SavingError
            If chunks are missing that were written; the tiles are to be done again.
        """
        self._check_chunks()
        try:
            rename(self.path, self.finished)
        except FileNotFoundError:
            return ()
        return self.publish()

    def _check_chunks(self) -> None:
        """Refuse images with missing chunks, which would be read as zeros."""
        with suppress(FileNotFoundError, KeyError):  # another process finishes
            arrays = [self._array(path) for path in self.paths.values()]
            lost = sum(array.nchunks - array.nchunks_initialized for array in arrays)
            if lost:
                shutil.rmtree(self.path / "done", ignore_errors=True)
                (self.path / "done").mkdir(exist_ok=True)
                raise SavingError(
                    f"{lost} chunks of {self.path} are lost, though they were written; "
                    "run the same command again"
                )

    def was_finishing(self) -> bool:
        """Whether an earlier run left images to rename; delete its other remains."""
        if not self.finished.exists():
            return False
        names = {path.name for path in self.finished.iterdir()}
        images = {path.name for path in self.paths.values()}
        if "job.json" in names and names & images:
            return True
        if names <= images | {"job.json", "done"}:  # only files of ours
            shutil.rmtree(self.finished, ignore_errors=True)
        return False

    def was_published(self) -> bool:
        """Whether the images of this job exist under their final names."""
        if self.path.exists():
            return False
        try:
            groups = [zarr.open_group(p, mode="r") for p in self.paths.values()]
        except (OSError, ValueError):
            return False
        return all(group.attrs.get("napari_cosdd_job") == self.job for group in groups)

    def publish(self) -> tuple[Path, ...]:
        """Move the images out of the finished folder; skip those moved before."""
        self._check(self.finished)
        for path in self.paths.values():
            unpublished = self.finished / path.name
            with suppress(FileNotFoundError):  # moved already, or by another process
                if unpublished.exists():
                    replace_folder(unpublished, path)
        shutil.rmtree(self.finished, ignore_errors=True)
        return tuple(self.paths.values())


def chunk_width(width: int, *, alone: bool) -> int:
    """Return the widest chunk that divides a tile; a single tile needs no divisor."""
    if alone:
        return min(width, WIDEST)
    fewest = -(-width // WIDEST)
    return width // next(k for k in range(fewest, width + 1) if width % k == 0)
