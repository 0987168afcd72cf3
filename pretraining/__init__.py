"""Trains the small network that trainings of the quick preset start from.

`python -m pretraining` writes `src/napari_cosdd/weights/cosdd.safetensors`. It sees
phantoms and simulated noise only: no image that the benchmarks judge by, and none
whose licence could bind its users.
"""
