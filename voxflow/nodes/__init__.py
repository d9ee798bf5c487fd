"""The library of nodes. Each is here by its name, too, wherever its file is."""

from voxflow.pipeline import face as _face

_places = {
    name: home
    for name, home in _face.homes("voxflow").items()
    if home.startswith(f"{__name__}.") or name in ("BatchFilter", "BatchProvider")
}
__getattr__, __dir__, __all__ = _face.attach(__name__, _places)
