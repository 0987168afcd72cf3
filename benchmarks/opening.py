"""How long the first dock takes, in a process of its own.

    python -m benchmarks.opening

Nothing here may import torch before the click. Prints one line of JSON.
"""

import json
import sys
import time
from collections.abc import Callable

#: Longest time until the dock must be usable, seconds.
PATIENCE = 120


def main() -> None:
    """Click Plugins → Noise in a new window; print the times in seconds."""
    import napari
    from napari._app_model import get_app_model
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer()
    viewer.open_sample("napari-cosdd", "nuclei")
    application = QApplication.instance()
    assert application is not None

    def live(seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """Let the window live; return the longest time between two of its events."""
        end, last, gap = time.perf_counter() + seconds, time.perf_counter(), 0.0
        while time.perf_counter() < end and not until():
            application.processEvents()
            now = time.perf_counter()
            gap, last = max(gap, now - last), now
            time.sleep(0.005)
        return gap

    live(2)
    assert "torch" not in sys.modules
    began = time.perf_counter()
    get_app_model().commands.execute_command("napari-cosdd.noise").result()
    application.processEvents()
    shown = time.perf_counter() - began
    from napari_cosdd.gui.docks import NoiseDock

    (dock,) = [w for w in application.allWidgets() if isinstance(w, NoiseDock)]
    gap = live(PATIENCE, lambda: dock._content is not None)
    usable = time.perf_counter() - began
    live(PATIENCE, lambda: bool(dock.content.headline.text()))
    answered = time.perf_counter() - began
    found = {"shown": shown, "usable": usable, "verdict": answered, "longest_gap": gap}
    print(json.dumps({name: round(value, 3) for name, value in found.items()}))
    viewer.close()


if __name__ == "__main__":
    main()
