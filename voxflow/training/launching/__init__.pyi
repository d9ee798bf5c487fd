# The face of the room: each public name and the file it comes from.

from .launch import launch
from .states import Outcome
from .tasks import load_tasks, Place, Task, TaskList

__all__ = ["launch", "load_tasks", "Outcome", "Place", "Task", "TaskList"]
