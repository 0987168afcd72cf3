"""The denoising methods: one file and one line each."""

from importlib import import_module
from typing import TYPE_CHECKING

from napari_cosdd.errors import BadInputError

if TYPE_CHECKING:
    from napari_cosdd.methods.base import Method

#: Name -> where its class is. Strings, so that naming a method loads no torch.
METHODS = {
    "cosdd": "napari_cosdd.methods.cosdd:COSDD",
    "n2v": "napari_cosdd.methods.n2v:Noise2Void",
}


def get_method(name: str) -> type["Method"]:
    """Return the class of a method.

    Raises
    ------
    BadInputError
        If there is no method of that name.
    """
    if name not in METHODS:
        raise BadInputError(
            f"there is no method {name!r}; expected one of {', '.join(METHODS)}"
        )
    module, _, attribute = METHODS[name].partition(":")
    method: type[Method] = getattr(import_module(module), attribute)
    return method
