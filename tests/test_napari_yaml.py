"""The manifest at the top is a copy of the package's, which is the source."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "napari_cosdd" / "napari.yaml"


def test_the_manifest_at_the_top_is_a_copy_of_the_package_s():
    copy = ROOT / "napari.yaml"
    assert not copy.is_symlink(), "a link breaks on Windows and in archives"
    assert copy.read_text(encoding="utf-8") == SOURCE.read_text(encoding="utf-8"), (
        f"copy {SOURCE.relative_to(ROOT).as_posix()} over napari.yaml"
    )
