"""A clock whose time passes when a test says so."""

from voxflow.training import Clock


class Hands:
    """The time that a clock reads."""

    def __init__(self, seconds=0.0, epoch=1_000_000.0):
        self.seconds = seconds
        self.epoch = epoch

    def clock(self):
        return Clock(monotonic=lambda: self.seconds, wall=lambda: self.epoch + self.seconds)
