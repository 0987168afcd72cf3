"""The bar that shows how far a denoising is."""

from qtpy.QtWidgets import QProgressBar

from napari_cosdd._formatting import clock
from napari_cosdd.gui._jobs import State
from napari_cosdd.gui._records import DenoisingRecord


class DenoisingBar(QProgressBar):
    """How far a denoising is, and how long it still takes."""

    def __init__(self) -> None:
        super().__init__()
        self.setRange(0, 1000)
        self.setFormat("")

    def show_waiting(self, record: DenoisingRecord) -> None:
        """Show that a denoising starts when the check that is running has stopped."""
        self.setValue(0)
        self.setFormat(f"{record.image}: starts when the check has stopped …")

    def show_record(self, record: DenoisingRecord, state: State) -> None:
        """Show a denoising whose job is in some state."""
        self.setValue(round(1000 * record.progress))
        if state == "running":
            parts = _folder(record) if record.folder else _samples(record)
            left = record.remaining
            self.setFormat(parts if left is None else f"{parts} · {clock(left)} left")
        elif state == "stopping":
            self.setFormat("stopping …")
        elif record.folder:
            self.setFormat(f"{record.written} images written to {record.folder}")
        else:
            ended = "done" if record.complete else "stopped"
            self.setFormat(f"{record.image}: {ended}")


def _samples(record: DenoisingRecord) -> str:
    if record.samples_total == 1:  # none was drawn yet
        return "preparing …"
    part = f", part {record.done + 1} of {record.total}" if record.total > 1 else ""
    return f"{record.samples} of {record.samples_total} samples{part}"


def _folder(record: DenoisingRecord) -> str:
    return f"image {record.done + 1} of {record.total}"
