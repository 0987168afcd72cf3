import numpy as np
import pytest
import torch

from helpers import TINY, TRAINING, build, noise_model, spec, tiny_recipe
from napari_cosdd import api
from napari_cosdd.errors import BadInputError
from napari_cosdd.methods.registry import get_method
from napari_cosdd.methods.values import Batch
from napari_cosdd.noise_models.mixture import MixtureNoise


def test_blind_levels_are_those_of_the_ladder_and_leave_one():
    method = build("hdn", blind_levels=1)
    assert method.ladder.blind_levels == 1
    assert "the lowest 1 levels blind" in method.describe()
    losses = method.losses(
        Batch(torch.randn(2, 1, 32, 32)), torch.Generator().manual_seed(0)
    )
    sum(losses.objectives.values()).backward()
    assert all(p.grad is not None for p in method.parameters() if p.requires_grad)
    with pytest.raises(BadInputError, match="2 blind levels of 2"):
        build("hdn", blind_levels=2)


@pytest.mark.parametrize("name", ["hdn", "divnoising"])
def test_a_noise_model_is_learned_along_if_none_is_given(name, noisy, tmp_path):
    path = tmp_path / "model.safetensors"
    settings = TINY[name] | TRAINING | {"max_steps": 12}
    model = api.fit(noisy, axes="YX", method=name, output=path, **settings)
    noise = model.method.noise_model
    assert isinstance(noise, MixtureNoise)
    fresh = MixtureNoise(noise.config).coefficients
    assert not torch.equal(noise.coefficients.cpu(), fresh)
    assert "learned along" in model.method.describe()
    low, high = noise.signal_range
    assert low < noisy.min() < noisy.max() < high
    same = api.load(path)
    assert torch.equal(same.method.noise_model.coefficients, noise.coefficients.cpu())
    result = api.denoise(noisy, same, axes="YX", n_samples=2)
    assert np.isfinite(result.mean).all()
    further = api.fit(noisy, axes="YX", init_model=same, **TRAINING)
    assert not torch.equal(
        further.method.noise_model.coefficients.cpu(), noise.coefficients.cpu()
    )


def test_autonoise_needs_a_noise_model_and_takes_its_axis():
    kind = get_method("autonoise")
    with pytest.raises(BadInputError, match="Autonoise needs a noise model"):
        kind(kind.Config(), spec())
    method = build("autonoise")
    assert (method.noise_dim, method.noise_letter) == (1, "x")
    assert method.symmetries() == (0,)
    assert method.noise_reach == method.noise_model.decoder.receptive_field
    assert build("autonoise", ndim=3).noise_dim == 2


def test_a_learned_noise_model_is_warned_of_where_photons_are_counted(pair):
    rng = np.random.default_rng(0)
    photons = 40.0 * rng.poisson(pair[0] / 400)  # most pixels have none
    camera = 500 + rng.normal(0, 5, photons.shape)
    told = {}
    for name, image in (("counter", photons), ("camera", photons + camera)):
        job = api.prepare_run([api.Image(image, "YX")], tiny_recipe("hdn"))
        told[name] = " ".join(job.warnings)
    assert "learned along describes that badly" in told["counter"]
    assert "learned along" not in told["camera"]
    with_one = api.prepare_run(
        [api.Image(photons, "YX")],
        tiny_recipe("hdn"),
        assets=api.Assets(noise_model("mixture")),
    )
    assert "learned along" not in " ".join(with_one.warnings)
