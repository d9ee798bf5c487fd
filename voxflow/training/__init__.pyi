from .when import Every, Moment

__all__ = ["Every", "Moment"]
