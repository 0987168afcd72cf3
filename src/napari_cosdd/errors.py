"""What can go wrong, in words for the user: what was expected and what came."""


class CosddError(Exception):
    """Any error that this package raises on purpose; its text is for the user."""


class BadInputError(CosddError, ValueError):
    """The image, the axes, a setting or a path is not what is needed."""


class StoppedError(CosddError):
    """The user stopped it before there was anything to keep."""


class BadModelFileError(CosddError, ValueError):
    """A model file is damaged, foreign or does not fit the image."""


class TrainingDivergedError(CosddError, ArithmeticError):
    """Training became unstable and rolling back did not help."""


class PosteriorCollapseError(CosddError):
    """The latents carry no signal, after every restart; nothing is delivered."""


class SavingError(CosddError, OSError):
    """A file could not be written: full disk, no permission, lost drive."""


class DeviceLostError(CosddError):
    """The GPU stopped working; only a new process can use it again."""


class NotEnoughMemoryError(CosddError, MemoryError):
    """Memory ran out even at the smallest micro-batch or tile."""
