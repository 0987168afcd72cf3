import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Shapes

from napari_cosdd.errors import BadInputError
from napari_cosdd.gui._region import RegionRow, mask_of

SQUARE = np.array([[10, 20], [10, 49], [29, 49], [29, 20]])


@pytest.fixture
def image():
    return ImageLayer(np.zeros((3, 60, 80)), scale=(1, 0.5, 0.25), translate=(0, 3, 4))


def test_shapes_mark_pixels_wherever_the_image_lies(image):
    expected = np.zeros((60, 80), bool)
    expected[10:30, 20:50] = True
    world = SQUARE * (0.5, 0.25) + (3, 4)
    for shapes in (
        Shapes([world], shape_type="polygon"),
        Shapes([np.c_[np.ones(4), world]], shape_type="polygon"),  # drawn on plane 1
        Shapes([SQUARE], shape_type="polygon", scale=(0.5, 0.25), translate=(3, 4)),
    ):
        found = mask_of(shapes, image)
        # polygon2mask may leave out pixels on an edge
        assert (found & ~expected).sum() == 0
        assert found.sum() >= 19 * 29


def test_labels_mark_what_is_not_zero(image):
    labels = np.zeros((3, 60, 80), int)
    labels[0, 5:9, 7], labels[2, 50, 60] = 2, 1
    found = mask_of(Labels(labels), image)
    assert found.sum() == 5
    with pytest.raises(BadInputError, match="has 30 × 80 pixels"):
        mask_of(Labels(labels[:, :30]), image)
    with pytest.raises(BadInputError, match="marks nothing"):
        mask_of(Labels(0 * labels), image)


def test_the_row_is_there_if_there_is_a_layer_to_choose(viewer, qtbot, image):
    viewer.add_layer(image)
    row = RegionRow(viewer, "")
    qtbot.addWidget(row)
    assert row.isHidden()
    shapes = viewer.add_shapes([SQUARE], shape_type="polygon", name="cells")
    assert not row.isHidden()
    assert row.mask(image) is None
    row.choice.choose(shapes)
    assert row.mask(image) is not None
    viewer.layers.remove(shapes)
    assert row.isHidden()
    assert row.mask(image) is None
