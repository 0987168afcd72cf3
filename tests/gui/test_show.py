import os
import sys

import numpy as np
import pytest

from napari_cosdd import api
from napari_cosdd.gui import show


def test_without_a_display_nothing_is_opened(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not show.can_show()
    monkeypatch.setenv("DISPLAY", ":0")
    assert show.can_show()


@pytest.mark.skipif(
    not os.environ.get("DISPLAY") or os.environ.get("QT_QPA_PLATFORM") == "offscreen",
    reason="no display: run under xvfb-run with QT_QPA_PLATFORM=xcb",
)
def test_the_demo_ends_in_a_window_with_layers(
    make_napari_viewer, model, noisy, monkeypatch
):
    import napari

    viewer = make_napari_viewer(show=True)
    monkeypatch.setattr(napari, "Viewer", lambda **keywords: viewer)
    monkeypatch.setattr(napari, "run", lambda: None)
    image = api.Image(noisy, "YX", "cells", pixel_size={"Y": 0.5, "X": 0.25})
    show.show_prediction(
        api.denoise(image, model, n_samples=3, n_kept=1), {"model": "ours"}
    )
    names = [layer.name for layer in viewer.layers]
    assert names == [
        "cells",
        "cells · mean",
        "cells · deviation",
        "cells · sample 1",
    ]
    np.testing.assert_allclose(viewer.layers["cells · mean"].scale, (0.5, 0.25))
