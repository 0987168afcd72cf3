"""The pages say what the code does, and their links lead somewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile
from docs.settings import PAGE, page

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_table_of_settings_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m docs.settings"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
        file = path.parent / target
        left_out = file.parent == IMAGES and not IMAGES.exists()  # of an sdist
        if "://" not in target and not left_out:
            assert file.exists(), target


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_slurm_script_denoises_its_part(model, noisy, tmp_path):
    """Run the job array's script as SLURM would, one part after the other."""
    model.save(tmp_path / "m.safetensors")
    tifffile.imwrite(tmp_path / "noisy.tif", noisy)
    script = ROOT / "docs/slurm/denoise.sbatch"
    arguments = [tmp_path / name for name in ("m.safetensors", "noisy.tif", "clean")]
    own = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    own["SLURM_ARRAY_TASK_COUNT"] = "2"
    for part in ("2", "1"):
        subprocess.run(
            ["bash", script, *arguments, "--n-samples", "2", "--tile-size", "48"],
            env=os.environ | own | {"SLURM_ARRAY_TASK_ID": part},
            check=True,
            timeout=120,
        )
    assert sorted(p.name for p in (tmp_path / "clean").iterdir()) == [
        "noisy-deviation.zarr",
        "noisy-mean.zarr",
    ]
