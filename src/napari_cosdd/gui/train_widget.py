"""The Train dock: from a noisy layer or folder to a model."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog

from napari_cosdd import api
from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.gui._axes_row import AxesRow
from napari_cosdd.gui._channels import ChannelRow, n_channels
from napari_cosdd.gui._dock import Dock
from napari_cosdd.gui._estimate import EstimateLine
from napari_cosdd.gui._jobs import Job
from napari_cosdd.gui._layer_choice import LayerChoice
from napari_cosdd.gui._layers import (
    axes_of,
    data_of,
    image_of,
    key_of,
    layer_with,
)
from napari_cosdd.gui._models import new_model_path
from napari_cosdd.gui._needs import NeedsForm
from napari_cosdd.gui._preview import show_preview
from napari_cosdd.gui._recipe_form import RecipeForm
from napari_cosdd.gui._records import TrainingRecord
from napari_cosdd.gui._region import RegionRow
from napari_cosdd.gui._session import session_of
from napari_cosdd.gui._start_row import StartRow
from napari_cosdd.gui._training import training
from napari_cosdd.gui._training_buttons import TrainingButtons
from napari_cosdd.gui._training_view import TrainingView
from napari_cosdd.gui._validation_row import ValidationRow
from napari_cosdd.gui._widgets import (
    Problem,
    button,
    enable,
    field,
    listen,
)

if TYPE_CHECKING:
    import napari


#: Text while a training runs and the form was changed.
NEXT_TIME = "The form is for the next training: the one that runs keeps its settings."


class TrainWidget(Dock):
    """Trains a model on a layer or a folder, and shows the progress."""

    place = 1

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self.viewer, self.session = viewer, session_of(viewer)
        self.session.train_docks.add(self)
        self.folder: Path | None = None
        self._previewed: Any = None
        self._told: TrainingRecord | None = None
        #: Training that was started with what the form shows; no estimate for it.
        self._started: TrainingRecord | None = None
        self.image = LayerChoice(viewer)
        self.browse = button(
            "Folder…", "Train on all images of a folder instead", self._browse
        )
        self.axes = AxesRow()
        self.channels = ChannelRow()
        self.region = RegionRow(viewer, "Shapes or labels that mark where to learn")
        self.start = StartRow(self.session)
        self.validation = ValidationRow(viewer)
        self.form = RecipeForm([self.validation])
        self.needs = NeedsForm(viewer)
        self.estimate = EstimateLine(self._to_try)
        self.view, self.problem = TrainingView(viewer.theme), Problem()
        self.buttons = TrainingButtons(viewer, self.session, self._train)
        self.train, self.next = self.buttons.train, self.buttons.next
        self.pause, self.stop = self.buttons.pause, self.buttons.stop
        self._build()
        self._connect()
        self._layer_chosen()
        self._refresh()

    def _build(self) -> None:
        for widget in (
            field(
                "Image",
                self.image,
                self.image.pin,
                self.browse,
                tip="Noisy images to learn from",
            ),
            self.axes,
            self.channels,
            self.region,
            self.start,
            self.form,
            self.needs,
            self.estimate,
            self.problem,
            self.view,
        ):
            self.rows.addWidget(widget)
        self.rows.addStretch(1)
        self.footer.addWidget(self.buttons)

    def _connect(self) -> None:
        self.image.chosen.connect(self._layer_chosen)
        self.image.emptied.connect(self._layer_chosen)
        self.form.changed.connect(self._form_changed)
        self.start.changed.connect(self._form_changed)
        self.axes.changed.connect(self._axes_changed)
        self.channels.changed.connect(self._changed)
        self.axes.edited.connect(self._changed)
        self.session.training_changed.connect(self._refresh)
        self.session.noise_found.connect(self._show_noise)
        self.session.use_noise.connect(self._take_over)
        listen(self, self.viewer.events.theme, self._theme_changed)
        self.needs.changed.connect(self._changed)
        self.needs.changed.connect(self._show_fit)
        self.needs.target.listed.connect(self._show_fit)
        self.needs.show_needs(self.form.needs)

    def front_changed(self) -> None:
        """Show the present state when the dock comes to the front."""
        if self.in_front:
            self._refresh()
            self.estimate.soon()

    # Settings -----------------------------------------------------------------

    def images(self) -> api.Image | Path:
        """Return the chosen layer as an image, or the folder, which the job reads."""
        if self.folder is not None:
            return self.folder
        layer = self.image.layer
        if layer is None:
            raise BadInputError(f"{self.image.why_none()}, or choose a folder.")
        return image_of(layer, self.axes.text() or axes_of(layer))

    def _report(self) -> api.NoiseReport | None:
        return self.session.report(None if self.folder else self.image.layer)

    def _recipe(self) -> "api.Recipe[Any]":
        """Return the recipe of the form, with what the method needs."""
        return self.form.recipe(self._report()).changed(self.needs.settings)

    # What the user does -------------------------------------------------------

    def _train(self) -> None:
        self.problem.show_error(None)
        name = self.folder.name if self.folder else self.image.currentText()
        try:
            request, interrupted = self._request(), self.start.interrupted
            kind = request.recipe.method if self.start.is_fresh else "continued"
            if self.start.is_fresh and self.form.preset_name != "quick":
                kind += f"-{self.form.preset_name}"
            path = interrupted or new_model_path(name, kind)
        except (CosddError, OSError) as error:
            self.problem.show_error(error)
            return
        source = "" if self.folder else key_of(self.image.layer)
        self._keep_reading(source)
        record = TrainingRecord(name, source, path=path, expected=self.estimate.seconds)
        self._started = record
        self.estimate.setText("")
        job = Job(f"training on {name}", partial(training, request, path, interrupted))
        self.session.train(job, record)

    def _request(self) -> api.TrainingRequest:
        """Return the training that the form describes.

        Raises
        ------
        BadInputError
            If something is missing or wrong.
        """
        layer, axes = None if self.folder else self.image.layer, self.axes.text()
        return api.TrainingRequest(
            self._recipe(),
            self.images(),
            targets=self.needs.targets(axes),
            validation=self.validation.image(layer, axes),
            axes=axes or None,
            channel=self.channels.chosen,
            ndim=self.form.ndim,
            fill=self.form.filling,
            region=None if layer is None else self.region.mask(layer),
            noise_model=self.needs.chosen_noise_model(),
            init_model=self.start.model(),
        )

    def _keep_reading(self, source: str) -> None:
        """Keep for the Denoise dock how axes and channels of the image are read."""
        axes = self.axes.text()
        self.session.axes.pop(source, None)  # use those of the layer
        if source:
            self.session.channels[source] = self.channels.choice.currentText()
            if axes and axes != axes_of(self.image.layer):
                self.session.axes[source] = axes

    def _browse(self) -> None:
        if self.folder is not None:
            self.folder = None
        else:
            chosen = QFileDialog.getExistingDirectory(self, "Folder of noisy images")
            self.folder = Path(chosen) if chosen else None
        self._layer_chosen()

    def _take_over(self, key: str) -> None:
        self.folder = None
        self.image.choose(layer_with(self.viewer.layers, key))
        self.form.noise.setCurrentIndex(0)
        self._layer_chosen()

    # What is shown ------------------------------------------------------------

    def _layer_chosen(self) -> None:
        layer, folder = self.image.layer, self.folder
        self.problem.show_error(None)
        enable(
            self.image,
            folder is None,
            "A folder is chosen instead: press × folder first",
        )
        self.browse.setText("Folder…" if folder is None else "× folder")
        if folder is not None:
            self.axes.show_folder(folder)
        else:
            self.axes.show_layer(layer, self.image.why_none())
        self._show_noise()
        self._refresh()
        self._changed()

    def _show_noise(self) -> None:
        self.form.show_noise(self._report())
        self._show_fit()

    def _show_fit(self) -> None:
        """Say of each method whether it suits the noise and what it lacks."""
        found = self._report()
        self.form.show_fit(None if found is None else found.facts, self.needs.missing)

    def _axes_changed(self) -> None:
        """Offer what the axes allow: channels, 3-D."""
        layer, axes, folder = self.image.layer, self.axes.text(), self.folder
        shape = () if layer is None else data_of(layer).shape
        self.channels.show_channels(1 if folder else n_channels(axes, shape))
        self.form.allow_volume(folder is not None or "Z" in axes)

    def _form_changed(self) -> None:
        """Disable networks and noise axis if a model to start from determines them."""
        self.form.leave_to_model(not self.start.is_fresh)
        fresh = self.start.is_fresh
        needs = self.form.needs if fresh else self.start.needs()
        self.needs.show_needs(needs)
        self.validation.show_for(needs.target)
        self._show_fit()
        self._changed()

    def _changed(self) -> None:
        """Estimate the training of the form, which differs from the last one."""
        self._started = None
        self.problem.show_error(None)
        self.estimate.soon()
        self._refresh()

    def _refresh(self) -> None:
        """Show the state of the training."""
        running = self.session.training
        active = running is not None and running.job.active
        chosen = self.folder is not None or self.image.layer is not None
        why_none = "" if chosen else self.image.why_none()
        self.buttons.show_state(why_none, self.needs.lacking)
        if running is None:
            return
        job, record = running
        if active and self._started is None:
            self.estimate.setText(NEXT_TIME)
        elif self.estimate.text() == NEXT_TIME:  # the training has ended
            self.estimate.soon()
        self.estimate.setVisible(not active or self._started is None)
        layer = layer_with(self.viewer.layers, record.source)
        limits = None if layer is None else layer.contrast_limits
        self.view.show_record(record, job.state, limits)
        if job.error is not None and record is not self._told:
            self._told = record  # once: the error does not concern the next layer
            self.problem.show_error(job.error)
        preview = record.preview
        if preview is None or preview is self._previewed or not active:
            return
        self._previewed = preview
        if layer is not None:
            show_preview(self.viewer, layer, preview)

    def _to_try(self) -> api.TrainingRequest | None:
        """Return the training to estimate; None for a folder."""
        training = self.session.training
        busy = training is not None and training.job.active
        done = self._started is not None
        done = done or self.start.interrupted is not None
        if done or busy or self.folder or self.needs.folder or not self.in_front:
            return None
        return self._request()

    def _theme_changed(self, event: Any = None) -> None:
        self.view.set_theme(self.viewer.theme)
