#!/bin/sh
# Collect the wheels that `python -m benchmarks gpu` needs on a machine that has torch,
# numpy, scipy, scikit-image and tifffile: sh benchmarks/wheels.sh FOLDER [PYTHON]
set -e
folder=$1 python=${2:-3.12}
mkdir -p "$folder"
pip wheel -q --no-deps -w "$folder" .
pip download -q --no-deps --only-binary=:all: --python-version "$python" \
    --implementation cp --platform manylinux_2_28_x86_64 \
    --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 -d "$folder" \
    $(pip list --format=freeze | grep -iE '^(annotated-types|dask|donfig|google-crc32c|locket|numcodecs|partd|platformdirs|pydantic|pydantic_core|typer|typing-inspection|zarr|imagecodecs|tifffile)==')
