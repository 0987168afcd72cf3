"""Trains the networks that trainings of a preset start from.

`python -m pretraining PRESET` goes on for some minutes, on a GPU if there is one, from
a state that an earlier run left, and writes the model file of
`src/napari_cosdd/weights`. It sees phantoms and simulated noise only: no image that
the benchmarks judge by, and none whose licence could bind its users.
"""
