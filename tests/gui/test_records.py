import csv
import itertools
import math

import pytest

from napari_cosdd.events import (
    Finished,
    SampleDone,
    StepDone,
    TileDone,
    Validated,
    Warned,
)
from napari_cosdd.gui._curves_plot import CurvesPlot
from napari_cosdd.gui._records import (
    POINTS,
    Curves,
    DenoisingRecord,
    TrainingRecord,
    smoothed,
)
from napari_cosdd.gui._widgets import named


def step(n, **losses):
    return StepDone(n, n / 10, losses, 0.01 * n, float(n), 10.0 - n)


def test_long_curves_are_thinned_and_keep_their_ends():
    curves = Curves()
    for n in range(5 * POINTS):
        curves.add(n, {"nll": float(n)})
    steps, values = curves.get("nll")
    assert POINTS / 2 <= len(steps) <= POINTS
    assert [float(s) for s in steps] == values
    assert steps[-1] > 4.9 * POINTS
    gaps = {b - a for a, b in itertools.pairwise(steps)}
    assert len(gaps) == 1


def test_columns_that_come_late_are_padded():
    curves = Curves()
    curves.add(1, {"a": 1.0})
    curves.add(2, {"a": 2.0, "b": 5.0})
    steps, values = curves.get("b")
    assert steps == [1, 2]
    assert math.isnan(values[0])
    assert values[1] == 5
    assert curves.get("c") == ([], [])


def test_smoothing_is_an_average_from_the_first_point_on():
    assert smoothed([3.0] * 500)[0] == pytest.approx(3)
    assert smoothed([3.0] * 500)[-1] == pytest.approx(3)
    rough = [1.0, -1.0] * 500
    assert abs(smoothed(rough)[-1]) < 0.1
    assert smoothed([math.nan, 2.0])[-1] == pytest.approx(2)


def test_a_training_is_remembered_and_written_as_a_table(tmp_path):
    record = TrainingRecord("cells")
    record.take(step(1, nll=3.0, kl_0=0.1, kl_1=0.2, kl_10=0.3))
    record.take(step(2, nll=2.0, kl_0=0.1, kl_1=0.2, kl_10=0.3))
    record.take(Validated(2, {"nll": 2.5, "loss": 2.5}, best=True))
    record.take(Warned("careful"))
    record.take(Finished("stopped", 2, "model"))
    assert record.best_step == 2
    assert record.progress == pytest.approx(0.2)
    assert (record.result, record.reason, record.warnings) == (
        "model",
        "stopped",
        ["careful"],
    )
    record.write_csv(tmp_path / "curves.csv")
    with (tmp_path / "curves.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [r["step"] for r in rows] == ["1", "2"]
    assert rows[1]["nll"] == "2.0"
    assert rows[1]["validation_nll"] == "2.5"
    assert rows[0]["validation_nll"] == ""


def test_progress_of_a_denoising_counts_tiles_and_samples():
    record = DenoisingRecord("cells")
    record.take(TileDone(1, 4, 1.0, 3.0))
    record.take(SampleDone(5, 10))
    assert record.progress == pytest.approx(1.5 / 4)
    assert record.remaining == 3.0


def test_names_with_dots_keep_them_and_nothing_is_replaced_unasked(tmp_path):
    first = named(tmp_path / "lr0.1", ".csv")
    assert first == tmp_path / "lr0.1.csv"
    first.touch()
    assert named(tmp_path / "lr0.1", ".csv") == tmp_path / "lr0.1 2.csv"
    assert named(first, ".csv") == first  # the dialog has asked


@pytest.fixture
def curves(qtbot):
    """A plot of one curve with its best step, 2."""
    plot = CurvesPlot({"nll": "loss"}, "nats", "dark")
    qtbot.addWidget(plot)
    training, validation = Curves(), Curves()
    for at, value in enumerate((100.0, 10.0, 20.0), start=1):
        training.add(at, {"nll": value})
        validation.add(at, {"nll": value})
    plot.show_curves(training, validation, best_step=2)
    return plot


def test_the_star_of_the_best_model_follows_a_logarithmic_axis(curves):
    star = curves._best
    assert star.scatter.getData()[1].tolist() == [10.0]
    curves.set_log(True)
    assert star.scatter.getData()[1].tolist() == [1.0]


def test_a_plot_that_cannot_be_written_raises_an_error(curves, tmp_path):
    curves.write_png(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000
    with pytest.raises(OSError, match="nowhere"):
        curves.write_png(tmp_path / "nowhere" / "plot.png")


def validated(losses):
    """Return the record of a training with these validation losses."""
    record, best = TrainingRecord("cells"), math.inf
    for n, loss in enumerate(losses):
        record.take(Validated(10 * (n + 1), {"loss": loss}, loss < best))
        best = min(best, loss)
    return record


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([3.0, 2.0, 1.5], "Too early to tell"),
        ([3.0, 2.5, 2.0, 1.8, 1.7, 1.65, 1.6, 1.58], "Still improving."),
        ([3.0, 1.5, 1.0, 1.01, 1.0, 1.02, 1.01, 1.01], "Good enough"),
        ([3.0, 1.5, 1.0, 1.2, 1.5, 1.8, 2.0, 2.2], "Overfitting"),
    ],
)
def test_the_trend_of_the_validation_is_said_in_words(losses, said):
    trend = validated(losses).trend
    assert trend.startswith(said)
    assert bool(trend) == bool(said)


def test_the_time_left_begins_with_the_estimate():
    record = TrainingRecord("cells", expected=100.0)
    assert record.remaining is None
    record.take(StepDone(1, 0.001, {}, 0.01, 0.1, 55.0))
    assert record.remaining == pytest.approx(100, rel=0.01)
    record.take(StepDone(10, 0.1, {}, 0.01, 10.0, 70.0))
    assert 70 < record.remaining < 90
    record.take(StepDone(50, 0.5, {}, 0.01, 60.0, 61.0))
    assert record.remaining == 61.0


def test_the_plot_shows_all_late_dots(qtbot):
    plot = CurvesPlot({"loss": "loss"}, "nats", "dark")
    qtbot.addWidget(plot)
    training, validation = Curves(), Curves()
    for n in range(200):
        training.add(n, {"loss": 1.0 + 30 / (1 + n)})
        if n % 20 == 0:
            validation.add(n, {"loss": 1.0 + 30 / (1 + n) + 0.03 * n})
    plot.show_curves(training, validation, None)
    low, high = plot.viewRange()[1]
    dots = validation.get("loss")[1][len(validation.steps) // 2 :]
    assert low < min(dots)
    assert max(dots) < high < 20


def test_the_time_left_of_the_first_tile_is_known_from_its_samples():
    record = DenoisingRecord("cells")
    record.began -= 10
    record.take(SampleDone(25, 100))
    assert record.remaining == pytest.approx(30, rel=0.05)
