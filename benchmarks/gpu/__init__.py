"""What a machine with a GPU makes of it: ``python -m benchmarks.gpu --list``."""
