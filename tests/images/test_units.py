import pytest

from napari_cosdd.images.units import (
    LENGTHS,
    in_one_unit,
    ome_name,
    unit_named,
    zarr_name,
)


@pytest.mark.parametrize("unit", LENGTHS)
def test_names_in_files_lead_back_to_ours(unit):
    assert unit_named(unit) == unit
    assert unit_named(ome_name(unit)) == unit
    assert unit_named(zarr_name(unit)) == unit


@pytest.mark.parametrize("name", ["micron", "µm", "\u03bcm", "\\u00B5m", "micrometer"])
def test_micrometres_have_many_names(name):
    assert unit_named(name) == "um"


def test_sizes_are_in_the_unit_of_the_first():
    found = in_one_unit(
        {"X": (0.5, "micrometer"), "Z": (2000, "nm"), "Y": (1, "pixel")}
    )
    assert found == (pytest.approx({"X": 0.5, "Z": 2}), "um")


def test_units_that_are_no_lengths_are_written_as_they_are():
    assert ome_name("furlong") == zarr_name("furlong") == "furlong"
