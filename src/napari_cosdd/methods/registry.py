"""The table of methods."""

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_cosdd.errors import BadInputError

if TYPE_CHECKING:
    from napari_cosdd.methods.base import Method

#: Name on the command line -> module and class. Strings avoid importing torch here.
METHODS = {
    "cosdd": "napari_cosdd.methods.cosdd:COSDD",
    "n2v": "napari_cosdd.methods.n2v:Noise2Void",
    "care": "napari_cosdd.methods.care:CARE",
    "n2n": "napari_cosdd.methods.n2n:Noise2Noise",
    "hdn": "napari_cosdd.methods.hdn:HDN",
    "divnoising": "napari_cosdd.methods.divnoising:DivNoising",
    "autonoise": "napari_cosdd.methods.autonoise:Autonoise",
    "pn2v": "napari_cosdd.methods.pn2v:PN2V",
    "deconoising": "napari_cosdd.methods.deconoising:DecoNoising",
}
DEFAULT = "cosdd"


def get_method(name: str) -> "type[Method[Any]]":
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
    method: type[Method[Any]] = getattr(import_module(module), attribute)
    return method


def all_methods() -> "Iterator[tuple[str, type[Method[Any]]]]":
    """Yield the name and the class of every method, in the order of the table."""
    for name in METHODS:
        yield name, get_method(name)
