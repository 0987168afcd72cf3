import threading
import time

import pytest
from qtpy.QtCore import Qt

from napari_cosdd.errors import BadInputError
from napari_cosdd.events import Warned
from napari_cosdd.gui import _jobs
from napari_cosdd.gui._jobs import Job


@pytest.fixture
def run(wait, monkeypatch):
    """Run work as a job to its end; return it and the messages that came."""
    monkeypatch.setattr(
        "napari.utils.notifications.notification_manager.receive_error",
        lambda *args: None,
    )

    def start(work, during=lambda job: None):
        job, messages = Job("test", work), []
        job.advanced.connect(lambda events: messages.extend(e.message for e in events))
        job.start()
        during(job)
        wait(lambda: not job.active)
        return job, messages

    return start


def counting(stop):
    for i in range(100_000):
        yield Warned(str(i))
        time.sleep(0.001)
        if stop():
            yield Warned("saved")
            return


def test_events_come_in_order_in_the_main_thread(run):
    threads = set()

    def work(stop):
        threads.add(threading.current_thread())
        for i in range(5):
            yield Warned(str(i))

    job, messages = run(work)
    assert messages == ["0", "1", "2", "3", "4"]
    assert job.state == "done"
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("CUDA out of memory"), "Memory ran out"),
        (MemoryError(), "Memory ran out"),
        (BadInputError("expected a, got b"), "expected a, got b"),
        (RuntimeError("odd"), r"unexpected error occurred \(RuntimeError: odd\)"),
        (ZeroDivisionError("x"), "unexpected"),
    ],
)
def test_no_error_is_swallowed(run, error, words):
    def work(stop):
        yield Warned("before")
        raise error

    job, messages = run(work)
    assert job.state == "failed"
    assert messages == ["before"]
    with pytest.raises(_jobs.JobError, match=words):
        raise job.error
    assert "Traceback" in job.error.details


def test_stopping_lets_the_work_end_in_good_order(run):
    job, messages = run(counting, lambda job: job.stop())
    assert messages[-1] == "saved"
    assert job.state == "done"


def test_a_paused_job_stands_still_and_goes_on(run, qtbot):
    def during(job):
        qtbot.wait(300)
        job.pause()
        assert job.state == "paused"
        qtbot.wait(300)
        seen = []
        job.advanced.connect(seen.append)
        qtbot.wait(400)
        assert len(seen) <= 1  # what was on its way
        job.resume()
        qtbot.waitUntil(lambda: len(seen) > 2, timeout=5000)
        job.stop()

    job, messages = run(counting, during)
    assert job.state == "done"
    assert messages[:3] == ["0", "1", "2"]
    assert messages[-1] == "saved"


def test_stopping_a_paused_job_ends_it(run, qtbot):
    def during(job):
        job.pause()
        qtbot.wait(100)
        job.stop()

    assert run(counting, during)[1][-1] == "saved"


def test_closing_napari_waits_until_the_work_has_saved(qtbot, wait):
    saved = threading.Event()

    def work(stop):
        for event in counting(stop):
            if event.message == "saved":
                saved.set()
            yield event

    job = Job("test", work)
    job.start()
    qtbot.wait(300)
    job._worker.quit()  # what napari's window does when it closes
    wait(lambda: not job.active)
    assert saved.is_set()


def test_closing_napari_during_a_yield_lets_the_work_save(wait):
    saved = []

    def work(stop):
        for event in counting(stop):
            saved.extend(["saved"] if event.message == "saved" else [])
            yield event

    job = Job("test", work)
    job.start()
    worker = job._worker
    # Called in the worker's thread, while the generator waits to be resumed.
    worker.yielded.connect(worker.quit, Qt.ConnectionType.DirectConnection)
    wait(lambda: not job.active)
    assert saved == ["saved"]


def test_napari_shows_the_progress_while_no_dock_does(monkeypatch):
    bars = []

    class Bar:
        def __init__(self, total, desc):
            self.n, self.open, self.desc = 0, True, desc
            bars.append(self)

        def update(self, n):
            self.n += n

        def close(self):
            self.open = False

    monkeypatch.setattr(_jobs, "progress", Bar)
    job, shown = Job("test", counting), True
    job.is_shown = lambda: shown
    job.tell_progress(0.1)
    assert not bars
    shown = False
    job.tell_progress(0.2)
    job.tell_progress(0.5)
    assert [(bar.n, bar.open, bar.desc) for bar in bars] == [(50, True, "test")]
    shown = True
    job.tell_progress(0.6)
    assert not bars[0].open
    shown = False
    job.tell_progress(0.7)
    assert [(bar.n, bar.open) for bar in bars] == [(50, False), (70, True)]
