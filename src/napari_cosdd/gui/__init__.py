"""The only folder that may import napari, qtpy, magicgui, superqt or pyqtgraph."""
