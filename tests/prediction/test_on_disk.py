import shutil

import numpy as np
import pytest
import zarr

from napari_cosdd import api
from napari_cosdd.errors import BadInputError, SavingError
from napari_cosdd.events import TileDone, Warned, Written
from napari_cosdd.images.formats.any import read_image, write_image
from napari_cosdd.images.formats.ome_zarr_writer import replace_folder
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import stack_of
from napari_cosdd.methods.outputs import MEAN
from napari_cosdd.prediction import resumable
from napari_cosdd.prediction.batch import ImageFile
from napari_cosdd.prediction.cluster import denoising_on_cluster
from napari_cosdd.prediction.on_disk import denoising_on_disk
from napari_cosdd.prediction.outputs import outputs_of
from napari_cosdd.prediction.request import DenoiseRequest, Share
from napari_cosdd.prediction.result_files import result_paths
from napari_cosdd.prediction.resumable import WIDEST, ResumableResult, chunk_width
from napari_cosdd.prediction.shares import lock_of_share
from napari_cosdd.prediction.tiles import tiles_for
from napari_cosdd.settings.prediction import PredictionConfig

CONFIG = PredictionConfig(n_samples=3, n_kept=1, tile_size=32, margin=8, batch_size=2)


@pytest.fixture
def movie(noisy):
    frames = np.stack([noisy, noisy[::-1]])[:, :80, :60].astype(np.float32)
    return Image(frames, "TYX", "movie", pixel_size={"Y": 0.5, "X": 0.25})


@pytest.fixture
def run(model, movie, tmp_path):
    """Denoise on disk; return the events and the paths."""

    def start(
        config=CONFIG,
        image=movie,
        folder=tmp_path,
        tiles=None,
        overwrite=False,
        share=None,
        **settings,
    ):
        outputs = outputs_of(model.method, config)
        paths = result_paths(folder, "movie", outputs, "zarr", overwrite)
        request = DenoiseRequest(paths, config, {"by": "us"}, **settings)
        seen = []

        def stop():
            done = [e for e in seen if isinstance(e, TileDone)]
            return tiles is not None and len(done) >= tiles

        for event in denoising_on_disk(model, image, request, share=share, stop=stop):
            seen.append(event)
        return seen, {output.name: path for output, path in paths.items()}

    return start


def n_tiles(events):
    return sum(isinstance(e, TileDone) for e in events)


def same_as_in_memory(paths, model, movie):
    expected = api.denoise(movie, model, **CONFIG.model_dump())
    arrays = {output.name: array for output, array in expected.outputs.items()}
    assert list(paths) == list(arrays)
    for name, path in paths.items():
        found = read_image(path)
        np.testing.assert_array_equal(np.asarray(found.data), arrays[name])
        assert found.axes == "TYX"
        assert dict(found.pixel_size) == dict(movie.pixel_size)


def test_the_result_on_disk_is_that_in_memory(run, model, movie, tmp_path):
    events, paths = run()
    assert n_tiles(events) == 2 * 3 * 2
    assert events[-1] == Written(tuple(paths.values()))
    same_as_in_memory(paths, model, movie)
    written = zarr.open_group(paths["sample 1"], mode="r")
    assert written["0"].chunks == (1, 32, 32)
    assert written.attrs["napari_cosdd"]["part"] == "sample 1"
    assert written.attrs["napari_cosdd"]["by"] == "us"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "movie-deviation.zarr",
        "movie-mean.zarr",
        "movie-sample-1.zarr",
    ]


def test_what_was_interrupted_goes_on(run, model, movie):
    first, paths = run(tiles=5)
    assert not isinstance(first[-1], Written)
    assert not paths["mean"].exists()
    second, _ = run()
    assert second[0] == Warned("going on: 5 of 12 tiles are done")
    assert n_tiles(second) == 7
    same_as_in_memory(paths, model, movie)


def test_shares_make_one_result(run, model, movie):
    events, paths = run(share=Share(1, 3))
    assert events[-1] == Written(())
    run(share=Share(3, 3))
    assert not paths["mean"].exists()
    events, _ = run(share=Share(2, 3))
    assert n_tiles(events) == 4
    assert events[-1].paths[0] == paths["mean"]
    same_as_in_memory(paths, model, movie)


def test_more_parts_than_tiles_leave_nothing_behind(run, tmp_path):
    run()
    for written in tmp_path.iterdir():
        shutil.rmtree(written)
    events, _ = run(share=Share(20, 20))
    assert events == [Written(())]
    assert list(tmp_path.iterdir()) == []


def test_a_run_cut_off_while_finishing_is_finished_by_the_next(
    run, model, movie, tmp_path, monkeypatch
):

    moved = []

    def killed(new, path):
        if moved:
            raise KeyboardInterrupt
        moved.append(path)
        replace_folder(new, path)

    with monkeypatch.context() as patch:
        patch.setattr(resumable, "replace_folder", killed)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert [p.name for p in moved] == ["movie-mean.zarr"]
    events, paths = run(overwrite=True)
    assert n_tiles(events) == 0
    assert events[-1] == Written(tuple(paths.values()))
    same_as_in_memory(paths, model, movie)
    assert not (tmp_path / "movie.finished").exists()


def test_only_marks_of_tiles_count(run, model, movie, tmp_path):
    """File managers and network drives leave files of their own."""
    run(tiles=3)
    (tmp_path / "movie.partial" / "done" / ".DS_Store").touch()
    _, paths = run()
    same_as_in_memory(paths, model, movie)
    assert not (tmp_path / "movie.partial").exists()


@pytest.mark.parametrize("width", [2048, 2049, 2500, 3000, 4095, 4096, 8192])
def test_chunks_of_wide_tiles_are_wide(width):
    chunk = chunk_width(width, alone=False)
    assert width % chunk == 0
    assert WIDEST / 4 < chunk <= WIDEST


def test_what_was_not_cleared_up_does_not_stop_the_next_run(
    run, model, movie, tmp_path
):
    (tmp_path / "movie.finished").mkdir()
    _, paths = run()
    same_as_in_memory(paths, model, movie)
    assert not (tmp_path / "movie.finished").exists()


def test_a_part_that_comes_late_finds_the_others_finished(
    run, model, movie, monkeypatch
):
    complete = ResumableResult.all_done

    def other_part_finishes_first(self, n):
        assert complete(self, n)
        self.finish()
        return True

    with monkeypatch.context() as patch:
        patch.setattr(ResumableResult, "all_done", other_part_finishes_first)
        events, paths = run()
    assert events[-1] == Written(())
    same_as_in_memory(paths, model, movie)


def test_a_partial_result_of_other_settings_is_refused_and_kept(run, movie, tmp_path):
    run(tiles=2)
    before = sorted(tmp_path.rglob("*"))
    for change in (
        {"config": CONFIG.model_copy(update={"seed": 1})},
        {"image": movie.with_data(movie.data[:1], "movie")},
        {"image": movie.with_data(movie.data + 1, "movie")},
        {"dtype": "same", "fill": "missing"},
    ):
        with pytest.raises(BadInputError, match="partial result of another"):
            run(**change)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_tile_that_was_not_marked_is_done_again(run, model, movie, tmp_path):
    _, paths = run(tiles=3)
    partial = tmp_path / "movie.partial"
    (partial / "done" / "1").unlink()
    zarr.open_group(partial / "movie-mean.zarr", mode="r+")["0"][0, :32, 32:] = -1
    run()
    same_as_in_memory(paths, model, movie)


def test_a_full_disk_is_told_and_nothing_is_lost(run, model, movie, monkeypatch):
    run(tiles=2)

    def full(self, i):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ResumableResult, "mark", full)
        with pytest.raises(SavingError, match=r"No space left.*goes on with them"):
            run()
    events, paths = run()
    assert n_tiles(events) == 10
    same_as_in_memory(paths, model, movie)


@pytest.mark.parametrize("text", ["0/3", "4/3", "2", "a/b", "1/2/3", ""])
def test_shares_are_two_numbers(text):
    with pytest.raises(BadInputError, match="such as 2/8"):
        Share.parse(text)
    assert Share.parse("2/8") == Share(2, 8)


def test_shares_are_disjoint_and_cover_all():
    shares = [Share(i, 3) for i in (1, 2, 3)]
    assert all(sum(p.holds(i) for p in shares) == 1 for i in range(20))


def test_the_workers_of_a_cluster_make_one_result(model, movie, tmp_path):
    distributed = pytest.importorskip("distributed")
    model.save(tmp_path / "m.safetensors")
    write_image(tmp_path / "movie.tif", movie)
    outputs = outputs_of(model.method, CONFIG)
    paths = result_paths(tmp_path / "clean", "movie", outputs, "zarr", False)
    paths[MEAN].parent.mkdir()
    file = ImageFile(tmp_path / "movie.tif", "movie")
    request = DenoiseRequest(paths, CONFIG)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        *shares, last = denoising_on_cluster(
            cluster.scheduler_address, tmp_path / "m.safetensors", file, request
        )
    assert [e.done for e in shares] == list(range(1, 9))
    assert last == Written(tuple(paths.values()))
    same_as_in_memory({o.name: p for o, p in paths.items()}, model, movie)


def test_an_address_without_a_scheduler_is_told(tmp_path):
    """And no later computation of others waits for it."""
    distributed = pytest.importorskip("distributed")
    with pytest.raises(BadInputError, match="no scheduler answers at nowhere"):
        next(denoising_on_cluster("nowhere://1", None, None, None))
    with pytest.raises(ValueError, match="No client"):
        distributed.default_client()


def test_a_part_that_starts_after_all_is_done_leaves_it_so(run, model, movie, tmp_path):
    run(share=Share(2, 2))
    events, paths = run(share=Share(1, 2))
    assert events[-1].paths
    events, _ = run(share=Share(2, 2), overwrite=True)
    assert events == [Written(())]
    same_as_in_memory(paths, model, movie)
    assert not (tmp_path / "movie.partial").exists()


def test_folders_of_others_are_left_alone(run, tmp_path):
    (tmp_path / "movie.finished").mkdir()
    thesis = tmp_path / "movie.finished" / "thesis.txt"
    thesis.write_text("years")
    with pytest.raises(SavingError, match="finished tiles stay"):
        run()
    assert thesis.read_text() == "years"


@pytest.mark.parametrize("width", [2053, 3001])
def test_a_tile_that_is_the_whole_image_has_wide_chunks(width):
    assert chunk_width(width, alone=True) == WIDEST


def test_lost_chunks_are_noticed_before_publishing(run, model, movie, tmp_path):
    run(tiles=11)
    chunks = [p for p in (tmp_path / "movie.partial").rglob("c/*/*/*") if p.is_file()]
    chunks[0].unlink()
    with pytest.raises(SavingError, match=r"1 chunks .* are lost"):
        run()
    _, paths = run()
    same_as_in_memory(paths, model, movie)


def test_the_remains_of_a_deleted_partial_result_are_no_obstacle(
    run, model, movie, tmp_path
):
    (tmp_path / "movie.partial" / "done").mkdir(parents=True)
    _, paths = run()
    same_as_in_memory(paths, model, movie)


def request_of(tmp_path):
    paths = result_paths(tmp_path, "movie", [MEAN], "zarr", False)
    return DenoiseRequest(paths, CONFIG)


def test_two_processes_never_do_the_same_share(tmp_path):
    request = request_of(tmp_path)
    with lock_of_share(request, Share(1, 2)), lock_of_share(request, Share(2, 2)):
        with pytest.raises(BadInputError, match="is being written by process"):
            lock_of_share(request, Share(2, 2)).__enter__()
        for other in (None, Share(2, 3)):
            with pytest.raises(BadInputError, match="in shares of 2, not of"):
                lock_of_share(request, other).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_black_tiles_are_not_lost(model, movie, tmp_path):
    """Chunks of zeros are written, so that a missing one is a lost one."""
    outputs = outputs_of(model.method, CONFIG)
    paths = result_paths(tmp_path, "movie", outputs, "zarr", False)
    partial = ResumableResult(DenoiseRequest(paths, CONFIG), model, movie)
    partial.open(tiles_for(model, stack_of(movie, 2, "nothing"), CONFIG)[0])
    for target in partial.targets().values():
        target.data[...] = 0
        assert target.data.nchunks_initialized == target.data.nchunks


def test_our_own_errors_are_not_told_as_those_of_the_disk(run, monkeypatch):
    def lose(self):
        raise SavingError("3 chunks are lost")

    monkeypatch.setattr(ResumableResult, "finish", lose)
    with pytest.raises(SavingError, match=r"^3 chunks are lost$"):
        run()
