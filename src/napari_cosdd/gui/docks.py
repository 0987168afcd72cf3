"""The docks as napari opens them: there at once, filled when torch is loaded.

The import of torch takes seconds. Nothing here may import it, nor what needs it.
"""

import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_cosdd.gui._canvas_view import KeptView
from napari_cosdd.gui._dock import WIDTH, Dock

if TYPE_CHECKING:
    import napari

LOADING = "Loading PyTorch. The first time this takes some seconds."
#: Time between two looks at whether the import is done, milliseconds.
EVERY = 50
#: What Windows calls libraries that do not start or are not there.
DLL_FAILED = (1114, 126)


def is_loaded() -> bool:
    """Whether torch is imported already."""
    return "torch" in sys.modules


def remedy_of(error: Exception) -> str:
    """Return what helps if torch cannot be imported."""
    if getattr(error, "winerror", None) in DLL_FAILED:
        return (
            "Qt, which is loaded first, may bring a C++ runtime that is too old for "
            "it: upgrade PyQt6 or PySide6 (pip install -U), and install the newest "
            "Microsoft Visual C++ Redistributable."
        )
    return "Install it again for this machine."


class LoadedDock(QWidget):
    """A dock that imports in a thread what its content needs, and then builds it.

    Attributes
    ----------
    content_name : str
        Module and class of the content.
    """

    content_name: ClassVar[str]

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._view = KeptView(viewer)
        self._content: Dock | None = None
        self._error: Exception | None = None
        self.waiting: QWidget | None = None
        self._line = QHBoxLayout(self)  # napari would add a stretch to a column
        self._line.setContentsMargins(0, 0, 0, 0)
        if is_loaded():
            self._build()
            return
        self.waiting = waiting = QWidget()
        self.sentence = QLabel(LOADING)
        self.sentence.setWordWrap(True)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.busy = QProgressBar()
        self.busy.setRange(0, 0)
        inner = QVBoxLayout(waiting)
        inner.addWidget(self.sentence)
        inner.addWidget(self.busy)
        inner.addStretch(1)
        self._line.addWidget(waiting)
        self._thread = threading.Thread(target=self._load, daemon=True)
        self._timer = QTimer(self, interval=EVERY)
        self._timer.timeout.connect(self._look)
        # Once the window has drawn this: an import lets nothing else run for long.
        QTimer.singleShot(EVERY, self._start)

    @property
    def content(self) -> Any:
        """The dock itself; it is built now if it is not there yet."""
        if self._content is None:
            self._build()
        return self._content

    def sizeHint(self) -> QSize:
        """Return the width that all docks share."""
        return QSize(WIDTH, 640)

    def resizeEvent(self, event: Any) -> None:
        """Let the canvas show all layers as before, beside the dock."""
        super().resizeEvent(event)
        QTimer.singleShot(EVERY, self._view.show_all_again)  # once it has its size

    def _start(self) -> None:
        if self._content is None:
            self._thread.start()
            self._timer.start()

    def _load(self) -> None:
        """Import what takes long, but for what makes widgets."""
        try:
            import_module("napari_cosdd.api")
        except Exception as error:  # noqa: BLE001 - shown in the dock
            self._error = error

    def _look(self) -> None:
        if self._thread.is_alive() or self._content is not None:
            return
        self._timer.stop()
        if self._error is None:
            self._build()
            return
        self.busy.hide()
        self.sentence.setText(
            f"⚠ PyTorch cannot be loaded ({type(self._error).__name__}: "
            f"{self._error}). {remedy_of(self._error)}"
        )

    def _build(self) -> None:
        module, name = self.content_name.split(":")
        content: Dock = getattr(import_module(module), name)(self._viewer)
        if self.waiting is not None:
            self.waiting.deleteLater()
            self.waiting = None
        self._line.addWidget(content)
        self._content = content


class NoiseDock(LoadedDock):
    """The Noise dock."""

    content_name = "napari_cosdd.gui.noise_widget:NoiseWidget"

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__(viewer)


class TrainDock(LoadedDock):
    """The Train dock."""

    content_name = "napari_cosdd.gui.train_widget:TrainWidget"

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__(viewer)


class DenoiseDock(LoadedDock):
    """The Denoise dock."""

    content_name = "napari_cosdd.gui.denoise_widget:DenoiseWidget"

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__(viewer)
