import numpy as np
import pytest
import torch

from helpers import awaken, build
from napari_cosdd.errors import BadInputError
from napari_cosdd.methods.cosdd import DECODER_LEARNS, VIEW_CLOSED
from napari_cosdd.methods.cosdd_settings import COSDDConfig
from napari_cosdd.methods.signal_power import signal_power
from napari_cosdd.methods.values import Batch, Moment
from napari_cosdd.training.memory import measure_memory


def gradients(method, objective):
    method.zero_grad()
    x = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(3))
    losses = method.losses(Batch(x), torch.Generator().manual_seed(0))
    chosen = losses.objectives if objective is None else [objective]
    sum(losses.objectives[key] for key in chosen).backward()
    return {
        key: p.grad.clone()
        for key, p in method.named_parameters()
        if p.grad is not None
    }


def test_the_three_objectives_have_disjoint_gradients():
    method = awaken(build("cosdd", direct_denoiser=True))
    parts = {k: gradients(method, k) for k in ("neg_elbo", "signal", "direct")}
    names = [set(part) for part in parts.values()]
    assert all(a.isdisjoint(b) for a in names for b in names if a is not b)
    assert {n.split(".")[0] for n in parts["neg_elbo"]} == {"ladder", "decoder"}
    assert {n.split(".")[0] for n in parts["signal"]} == {"signal"}
    assert {n.split(".")[0] for n in parts["direct"]} == {"direct"}


def test_the_gradient_of_the_sum_is_that_of_the_parts():
    method = awaken(build("cosdd", direct_denoiser=True))
    together = gradients(method, None)
    for key in ("neg_elbo", "signal", "direct"):
        for parameter, gradient in gradients(method, key).items():
            assert torch.allclose(together[parameter], gradient, atol=1e-6)


def test_kl_weight_rises_to_one_and_lowest_level_first():
    method = build("cosdd", kl_start=0.1, kl_warmup_steps=50)
    weights = np.array([method.config.kl_weights(s) for s in (0, 20, 50, 100)])
    assert np.all(np.diff(weights, axis=0) >= 0)
    np.testing.assert_allclose(weights[0], [1.0, 0.1])
    assert 0.1 < weights[1, 1] < 1
    np.testing.assert_allclose(weights[2:], 1.0)


def test_collapse_is_told_from_the_covariance_of_neighbouring_rows():
    method = build("cosdd")

    def judge(explained, explainable, error):
        losses = {"explained": explained, "explainable": explainable}
        return method.problem(losses | {"explainable_error": error})

    assert judge(0.01, 0.5, 0.02)
    assert not judge(0.45, 0.5, 0.02)
    assert not judge(0.0, 0.02, 0.001)  # hardly any signal
    assert not judge(0.0, 0.2, 0.1)  # too few rows to tell
    assert not judge(-0.1, 0.0, 0.0)  # lines, which have no neighbours


def test_explainable_is_the_power_of_the_signal_not_of_row_noise():
    method = build("cosdd")
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(8, 1, 1, 64, generator=generator).expand(8, 1, 64, 64)
    rows = torch.randn(8, 1, 64, 1, generator=generator)
    x = 0.6 * signal + 0.8 * rows
    losses = method.losses(Batch(x.contiguous()), generator)
    assert float(losses.metrics["explainable"]) == pytest.approx(0.36, abs=0.08)


def test_explainable_is_the_power_of_the_pixels_that_count():
    generator = torch.Generator().manual_seed(0)
    dim = 0.5 * torch.randn(4, 1, 1, 32, generator=generator).expand(4, 1, 64, 32)
    x = torch.cat([dim, 9 + 9 * torch.randn(dim.shape, generator=generator)], 3)
    weight = torch.zeros_like(x)
    weight[..., :32] = 1
    expected = signal_power(dim.contiguous(), 2)
    assert expected[0] == pytest.approx(0.25, abs=0.06)
    torch.testing.assert_close(signal_power(x, 2, weight), expected)
    losses = build("cosdd").losses(Batch(x, weight=weight), generator)
    assert float(losses.metrics["explainable"]) == pytest.approx(float(expected[0]))


def test_the_kl_weighs_as_much_as_the_likelihood_where_few_pixels_count():
    method = build("cosdd")
    x, weight = torch.zeros(2, 1, 64, 64), torch.zeros(2, 1, 64, 64)
    weight[:, :, 16:40, 16:40] = 1
    levels = [torch.zeros(2, 64 // m, 64 // m) for m in (2, 4)]
    for level in levels:  # latents are needed in the selected part only
        m = 64 // level.shape[-1]
        level[:, 16 // m : 40 // m, 16 // m : 40 // m] = m**2
    every = method.kl_by_level(levels, Batch(x))
    near = method.kl_by_level(levels, Batch(x, weight=weight))
    for all_pixels, counted, share in zip(every, near, (0.7, 0.5), strict=True):
        assert float(all_pixels) == pytest.approx(24**2 / 64**2)
        assert share < float(counted) <= 1  # latents around them count, too
    flat = [torch.ones_like(level) for level in levels]
    scattered = (torch.rand(x.shape) < 0.3).float()  # says nothing of the content
    for some, all_pixels in zip(
        method.kl_by_level(flat, Batch(x, weight=scattered)),
        method.kl_by_level(flat, Batch(x)),
        strict=True,
    ):
        torch.testing.assert_close(some, all_pixels)


def test_an_axis_that_the_data_lack_is_refused():
    with pytest.raises(BadInputError, match="'z' is not among the spatial axes 'yx'"):
        build("cosdd", noise_axis="z")


def test_noise_and_prior_can_be_sampled():
    method = awaken(build("cosdd")).eval()
    generator = torch.Generator().manual_seed(0)

    def noise(level, shape):
        return torch.randn(shape, generator=generator)

    x = torch.randn(2, 1, 16, 16)
    with torch.inference_mode():
        draw = method.sample_posterior(method.encode(x), noise)
        assert method.sample_noise(draw, generator).shape == x.shape
        prior = method.sample_prior(3, (16, 32), noise)
        noisy = method.sample_noise(prior, generator)
    assert prior.signal.shape == noisy.shape == (3, 1, 16, 32)
    assert torch.isfinite(noisy).all()


def test_checkpointing_changes_no_gradient():
    method = awaken(build("cosdd"))
    kept = gradients(method, None)
    method.use_checkpointing(True)
    again = gradients(method, None)
    assert kept.keys() == again.keys()
    for name, gradient in kept.items():
        torch.testing.assert_close(again[name], gradient)


def test_checkpointing_keeps_fewer_features():
    method = build("cosdd", stem_stride=1, n_levels=4, n_channels=32)
    sizes = [measure_memory(method, (256, 256)).crop]
    method.use_checkpointing(True)
    sizes.append(measure_memory(method, (256, 256)).crop)
    assert sizes[1] < 0.7 * sizes[0]


def test_the_view_is_closed_at_the_start_and_longer_after_a_collapse():
    method = build("cosdd", closed_steps=100)

    def stage(step, steps=6000, restarts=0):
        return method.stage(Moment(step, steps, step / steps, restarts)).name

    assert [stage(s) for s in (0, 99, 100)] == [VIEW_CLOSED, VIEW_CLOSED, ""]
    assert [stage(s, restarts=1) for s in (199, 200)] == [VIEW_CLOSED, ""]
    assert [stage(s, steps=50) for s in (9, 10)] == [VIEW_CLOSED, ""]
    method.config = method.config.fine_tuning()
    assert [stage(s) for s in (0, 600)] == [DECODER_LEARNS, ""]


def test_with_its_view_closed_the_decoder_sees_no_earlier_pixels():
    method = awaken(build("cosdd"))
    x = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    code = torch.zeros(1, method.config.n_code, 16, 16)
    other = x.clone()
    other[..., 3] += 1
    for closed in (True, False):
        a, b = (method.decoder(image, code, closed=closed)[1] for image in (x, other))
        assert torch.equal(a, b) is closed


def test_the_length_of_the_kl_warm_up_was_a_share_of_the_steps():
    assert COSDDConfig.model_validate({"kl_warmup": 0.05}).kl_warmup_steps == 300
