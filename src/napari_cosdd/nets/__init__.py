"""Layers only: networks that know neither losses nor data.

Axis letters in shape comments: n batch, c channel, z, y, x space.
"""
