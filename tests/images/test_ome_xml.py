import pytest

from napari_cosdd.images.formats.ome_xml import OmeMetadata


def of(attributes="", inside="", number=0):
    xmlns = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    text = (
        f"<OME {xmlns}><Image><Pixels {attributes}>{inside}</Pixels></Image>"
        '<Image><Pixels PhysicalSizeX="9"><Channel Name="other"/></Pixels></Image>'
        "</OME>"
    )
    return OmeMetadata.parse(text, "a.ome.tif", number)


def test_each_axis_is_read_in_its_own_unit():
    found = of(
        'PhysicalSizeX="65" PhysicalSizeXUnit="nm" PhysicalSizeY="0.065" '
        'PhysicalSizeYUnit="&#181;m" PhysicalSizeZ="0.3"'
    )
    assert found.unit == "nm"
    assert found.pixel_size == pytest.approx({"X": 65, "Y": 65, "Z": 300})


def test_micrometres_are_what_is_meant_without_a_unit():
    assert of('PhysicalSizeX="0.1"')[:2] == ({"X": 0.1}, "um")


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "wide", ""])
def test_sizes_that_are_none_are_not_known(value):
    assert of(f'PhysicalSizeX="{value}" PhysicalSizeY="2"').pixel_size == {"Y": 2.0}


def test_units_that_are_no_lengths_say_nothing():
    assert of('PhysicalSizeX="1" PhysicalSizeXUnit="pixel"').pixel_size == {}


def test_names_and_files_are_those_of_the_first_image():
    inside = (
        '<Channel Name="DAPI &amp; GFP"/><Channel/>'
        '<TiffData><UUID FileName="b.ome.tif">urn:uuid:0</UUID></TiffData>'
        '<TiffData><UUID FileName="a.ome.tif">urn:uuid:1</UUID></TiffData>'
    )
    found = of(inside=inside)
    assert found.channels == ("DAPI & GFP",)
    assert found.images == ({"a.ome.tif", "b.ome.tif"}, {"a.ome.tif"})


def test_each_image_has_its_own_metadata():
    other = of('PhysicalSizeX="2"', '<Channel Name="first"/>', number=1)
    assert (other.pixel_size, other.channels) == ({"X": 9.0}, ("other",))
