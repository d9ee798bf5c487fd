from .images import ramp
from .nodes import check_node
from .trial import BrokenPromise
from .world import World, draw_world

__all__ = [
    "BrokenPromise",
    "World",
    "check_node",
    "draw_world",
    "ramp",
]
