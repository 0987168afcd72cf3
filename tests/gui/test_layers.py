import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.errors import BadInputError
from napari_cosdd.gui._layers import (
    add_part,
    axes_for,
    axes_of,
    data_of,
    image_of,
    is_ours,
    parts_of,
)
from napari_cosdd.gui._places import current_plane, place
from napari_cosdd.images.normalization import Normalization


def spec(ndim, n_channels=1):
    scale = Normalization(mean=(0.0,) * n_channels, std=(1.0,) * n_channels)
    return DataSpec(ndim=ndim, n_channels=n_channels, normalization=scale)


@pytest.mark.parametrize(
    ("labels", "axes"),
    [
        (("t", "y", "x"), "TYX"),
        (("Z", "Y", "X"), "ZYX"),
        (("time", "height", "width"), "TYX"),
        (("channels", "row", "column"), "CYX"),
        (("-3", "-2", "-1"), "TYX"),  # napari's own: they say nothing
        (("z", "z", "x"), "TYX"),
        (("t", "z", "y"), "TYX"),  # no X: not to be trusted
    ],
)
def test_axes_come_from_the_labels_else_from_the_shape(labels, axes):
    layer = ImageLayer(np.zeros((3, 4, 5)), axis_labels=labels)
    assert axes_of(layer) == axes


def test_a_model_of_stacks_takes_an_unknown_axis_for_z():
    stack = ImageLayer(np.zeros((3, 4, 5)))
    assert axes_for(stack, spec(2)) == "TYX"
    assert axes_for(stack, spec(3)) == "ZYX"
    movie = ImageLayer(np.zeros((2, 3, 4, 5)))
    assert axes_for(movie, spec(3)) == "TZYX"


def test_a_model_of_channels_takes_an_unknown_axis_of_as_many_for_them():
    stack = ImageLayer(np.zeros((2, 4, 5)))
    assert axes_for(stack, spec(2, 2)) == "CYX"
    assert axes_for(stack, spec(2, 3)) == "TYX"
    movie = ImageLayer(np.zeros((7, 2, 4, 5)))
    assert axes_for(movie, spec(2, 2)) == "TCYX"


def test_copies_of_results_are_not_ours():
    viewer = ViewerModel()
    source = viewer.add_image(np.zeros((4, 5)), name="a")
    made = add_part(viewer, source, "mean", np.ones((4, 5)), name="a · mean")
    copy = viewer.add_image(made.data, metadata=made.metadata, name="copy")
    assert parts_of([source, made, copy], source) == {"mean": made}
    assert [is_ours(layer) for layer in (source, made, copy)] == [False, True, False]


def test_layers_without_numbers_are_told():
    with pytest.raises(BadInputError, match="whole or real numbers, got bool"):
        image_of(ImageLayer(np.zeros((4, 5), bool)), "YX")


def test_pixel_size_and_unit_are_taken_over():
    layer = ImageLayer(
        np.zeros((3, 4, 5)),
        scale=(2.0, 0.5, 0.25),
        units=("um", "um", "um"),
        axis_labels=("z", "y", "x"),
    )
    image = image_of(layer, "ZYX")
    assert image.pixel_size == {"Z": 2.0, "Y": 0.5, "X": 0.25}
    assert image.unit == "um"
    assert image.data is layer.data
    assert image_of(ImageLayer(np.zeros((4, 5))), "YX").pixel_size == {}


def test_lazy_and_multiscale_layers_are_not_loaded():
    lazy = da.zeros((3, 64, 64), chunks=(1, 64, 64))
    assert image_of(ImageLayer(lazy), "TYX").data is lazy
    pyramid = ImageLayer([np.ones((64, 64)), np.ones((32, 32))], multiscale=True)
    assert data_of(pyramid).shape == (64, 64)
    assert axes_of(pyramid) == "YX"


def test_color_pictures_are_refused_with_what_to_do():
    layer = ImageLayer(np.zeros((8, 8, 3), np.uint8), rgb=True, name="photo")
    with pytest.raises(BadInputError, match=r"photo is a color.*Split RGB"):
        image_of(layer, "YX")


def test_new_data_lie_where_they_belong():
    layer = ImageLayer(
        np.zeros((3, 40, 50)),
        scale=(2.0, 0.5, 0.25),
        translate=(1.0, 2.0, 3.0),
        units=("um", "um", "um"),
        axis_labels=("z", "y", "x"),
    )
    part = ImageLayer(np.zeros((1, 10, 10)), **place(layer, offset=(2, 7, 9)))
    np.testing.assert_allclose(
        part.data_to_world((0, 0, 0)), layer.data_to_world((2, 7, 9))
    )
    assert part.units == layer.units
    assert part.axis_labels == layer.axis_labels


def test_they_do_on_a_rotated_and_sheared_layer_too():
    layer = ImageLayer(
        np.zeros((40, 50)),
        scale=(0.5, 0.25),
        translate=(2.0, 3.0),
        rotate=30.0,
        shear=[0.2],
        affine=[[1, 0.1, 5], [0, 1, 6], [0, 0, 1]],
    )
    part = ImageLayer(np.zeros((4, 4)), **place(layer, offset=(7, 9), zoom=3))
    corners = np.array([(-0.5, -0.5), (3.5, 3.5), (-0.5, 3.5)])
    for corner in corners:
        on_layer = np.array((7, 9)) - 0.5 + 3 * (corner + 0.5)
        np.testing.assert_allclose(
            part.data_to_world(corner), layer.data_to_world(on_layer), atol=1e-9
        )


def test_the_current_plane_keeps_channels_and_pixels():
    layer = ImageLayer(
        np.zeros((6, 2, 8, 9)), scale=(2, 1, 0.5, 0.5), translate=(10, 0, 0, 0)
    )
    plane = current_plane(layer, "TCYX", (0, 18.0, 1, 3, 3))
    assert layer.data[plane].shape == (1, 2, 8, 9)
    assert plane[0] == slice(4, 5)
    beyond = current_plane(layer, "TCYX", (99.0, 0, 0, 0))
    assert beyond[0] == slice(5, 6)
