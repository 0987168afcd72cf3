import numpy as np
import pytest
from scipy import ndimage

from napari_cosdd.checks.about_residual import FROM_RAW
from napari_cosdd.checks.findings import all_findings
from napari_cosdd.checks.measures import apart
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.values import Needs, Problem
from napari_cosdd.noise_analysis.report import report


def failed(evidence):
    return {f.name for f in all_findings(evidence) if f.passed is False}


def test_nothing_speaks_against_a_model_that_is_right(make):
    findings = all_findings(make())
    assert [f.name for f in findings if f.passed is not True] == []
    assert len({f.name for f in findings}) == len(findings)


def test_pixels_that_were_cut_off_are_found(make, world):
    e = make()
    top = np.quantile(e.noisy, 0.99)
    assert "range" in failed(make(noisy=np.minimum(e.noisy, top)))
    photons = world.rng.poisson(1.0, e.noisy.shape).astype(float)  # few levels
    assert "range" not in failed(make(noisy=photons))


def test_signal_that_was_removed_is_found(make, world):
    e = make()
    faded = e.noisy.mean() + 0.8 * (world.scene - world.scene.mean())
    assert {"structure", "across", "centred"} <= failed(
        make(noisy=e.noisy, solutions=np.stack([faded, faded]))
    )


def test_details_that_were_smoothed_away_are_found(make, world):
    fine = world.rng.normal(size=world.scene.shape)
    e = make(
        noisy=world.scene + fine + world.noise(world.scene.shape, world.rng),
        solutions=np.stack([world.scene + 0.6 * fine] * 2),
    )
    assert "structure" in failed(e)


def test_noise_that_was_left_is_found(make, world):
    noise = world.noise(world.scene.shape, world.rng)
    e = make(
        noisy=world.scene + noise, solutions=np.stack([world.scene + 0.5 * noise] * 2)
    )
    assert "structure" in failed(e)


def test_brightness_that_was_lost_is_found(make, world):
    darker = np.minimum(world.scene, np.quantile(world.scene, 0.95))
    e = make()
    assert "centred" in failed(
        make(noisy=e.noisy, solutions=np.stack([darker - 0.3] * 2))
    )


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_redrawn_noise_of_other_strength_is_found(make, world, factor):
    drawn = world.scene + factor * world.noise(world.scene.shape, world.rng)
    assert {"strength", "shape"} <= failed(make(redrawn=np.stack([drawn] * 2)))


def test_redrawn_noise_of_other_shape_is_found(make, world):
    heavy = world.rng.laplace(size=world.scene.shape) / np.sqrt(2)
    assert "shape" in failed(make(redrawn=np.stack([world.scene + heavy] * 2)))


def test_redrawn_noise_that_is_white_is_found(make, world):
    white = world.rng.normal(size=world.scene.shape)
    assert "along" in failed(make(redrawn=np.stack([world.scene + white] * 2)))


def test_pairs_tell_what_single_pixels_do_not(make, world):
    """Two-valued noise and its shuffled copy have the same histogram."""
    pattern = np.tile([1.0, 1.0, -1.0, -1.0], (192, 48))[None]
    pattern = pattern + 0.2 * world.rng.normal(size=pattern.shape)
    mixed = pattern.ravel().copy()
    world.rng.shuffle(mixed)
    e = make(
        noisy=world.scene + pattern,
        redrawn=np.stack([world.scene + mixed.reshape(pattern.shape)] * 2),
    )
    (shape,) = (f for f in all_findings(e) if f.name == "shape")
    assert shape.passed is False
    assert "px apart" in shape.found


def test_another_axis_is_found(make):
    e = make(axis="y")
    assert "axis" in failed(e)
    (found,) = (f for f in all_findings(e) if f.name == "axis")
    assert found.remedy == "Train again with noise axis x."


def test_a_receptive_field_that_is_too_short_is_found(make):
    assert failed(make(reach=1)) == {"reach"}


def test_another_camera_is_found(make):
    e = make()
    same = e.raw.summary

    def trained_on(**changed):
        noise = same.model_copy(update=changed)
        return TrainedOn(levels_1_50_99=(0, 1, 2), noise=noise)

    assert failed(make(trained_on=trained_on())) == set()
    weaker = trained_on(variance=tuple(v / 4 for v in same.variance))
    assert failed(make(trained_on=weaker)) == {"likeness"}
    columns = trained_on(along_x=same.along_y, along_y=same.along_x)
    assert failed(make(trained_on=columns)) == {"likeness"}
    assert failed(make(unlike=("much brighter",))) == {"likeness"}


def test_short_and_unfinished_trainings_are_found(make):
    assert failed(make(history={"step": [30.0], "loss": [1.0]})) == {"training"}
    falling = {"step": [0.0, 500.0, 750.0, 1000.0], "loss": [2.0, 1.0, 0.6, 0.4]}
    assert failed(make(history=falling)) == {"training"}


def test_a_collapsed_posterior_is_found(make):
    collapse = Problem("the posterior collapsed", "it says nothing", "Train longer.")
    evidence = make(problem=collapse)
    assert failed(evidence) == {"latents"}
    (found,) = (f for f in all_findings(evidence) if f.name == "latents")
    assert found.remedy.startswith("The posterior collapsed: train with another seed")


def test_a_point_estimate_is_judged_by_what_can_be_told(make, world):
    nothing = np.empty(0)
    findings = all_findings(
        make(
            solutions=world.scene[None],
            redrawn=nothing,
            quantiles=nothing,
            losses={"masked_mse": 1.0},
            learned="",
        )
    )
    unknown = {f.name for f in findings if f.passed is None}
    assert unknown == {"latents", "shape", "strength"}
    assert all(f.passed for f in findings if f.passed is not None)


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (24, 800)])
@pytest.mark.parametrize("point", [False, True])
def test_small_images_are_judged_as_far_as_they_go(make, world, point):
    given = {}
    if point:
        nothing = np.empty(0)
        given = {"solutions": world.scene[None], "redrawn": nothing, "losses": {}}
    findings = all_findings(make(**given))
    assert all(f.passed is None or type(f.passed) is bool for f in findings)
    assert [f.name for f in findings if f.passed is False] == []


@pytest.mark.parametrize("size", [(64, 64)])
def test_much_stronger_noise_is_found_in_small_images_too(make, world):
    drawn = world.scene + 2 * world.noise(world.scene.shape, world.rng)
    assert "shape" in failed(make(redrawn=np.stack([drawn] * 2)))


def test_noise_that_signal_hides_is_no_yardstick(make, world):
    """Texture everywhere: what flat patches show is not the noise."""
    texture = ndimage.gaussian_filter(world.rng.normal(size=world.scene.shape), 1)
    signal = 5 * texture / texture.std()
    noise = [world.rng.normal(size=signal.shape) for _ in range(2)]
    e = make(
        noisy=signal + noise[0],
        solutions=np.stack([signal] * 2),
        redrawn=np.stack([signal + noise[1]] * 2),
        axis="none",
        raw=report(Stack(signal + noise[0], "SYX", 2)),
    )
    assert "along" not in failed(e)


def test_a_brighter_scene_is_no_other_camera(make, world):
    """Its shot noise dilutes the correlation, and leaves the covariance."""
    e = make()
    noise = world.noise(world.scene.shape, world.rng)
    shot = world.rng.normal(0, 1.5 * noise.std(), noise.shape)
    dim = report(Stack(world.scene + noise, "SYX", 2)).summary
    bright = report(Stack(world.scene + noise + shot, "SYX", 2))
    curve = bright.summary.model_dump(include={"signal", "variance"})
    known = TrainedOn(levels_1_50_99=(0, 1, 2), noise=dim.model_copy(update=curve))
    e = make(raw=bright, trained_on=known)
    (found,) = (f for f in all_findings(e) if f.name == "likeness")
    assert bright.correlation.along_x[1] < dim.along_x[0] - 0.25
    assert found.passed


def test_a_right_model_passes_where_noise_grows_with_the_signal(make, world):
    """Its correlation is that of the raw noise at equal brightness only."""
    level = world.scene - world.scene.min()

    def drawn():
        shot = np.sqrt(4 * level) * world.rng.normal(size=level.shape)
        return world.scene + world.noise(level.shape, world.rng) + shot

    noisy = drawn()
    raw = report(Stack(noisy, "SYX", 2))
    e = make(noisy=noisy, raw=raw, redrawn=np.stack([drawn(), drawn()]))
    assert raw.facts.is_clear
    assert apart(e.removed.along_x[1:7], raw.correlation.along_x[1:7]) > FROM_RAW
    assert "along" not in failed(e)


def test_a_method_that_learns_from_targets_takes_noise_as_it_is(make, world):
    """No axis and no reach are asked of it, and row noise may be removed."""
    nothing = np.empty(0)
    given = {
        "solutions": world.scene[None],
        "redrawn": nothing,
        "quantiles": nothing,
        "reach": 0,
        "learned": "",
    }
    findings = all_findings(make(needs=Needs(target="clean"), **given))
    unknown = {f.name for f in findings if f.passed is None}
    assert unknown == {"axis", "reach", "latents", "shape", "strength"}
    assert all(f.passed for f in findings if f.passed is not None)


def test_a_method_without_a_noise_axis_is_told_that_it_needs_another(make):
    findings = all_findings(make(needs=Needs(), axis="none", reach=0))
    (found,) = (f for f in findings if f.name == "axis")
    assert found.passed is False
    assert found.remedy == "Use a method for noise that is correlated along an axis."
