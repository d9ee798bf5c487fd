"""How fast is it, beside the peers: ``python -m benchmarks --list``.

Every number is measured beside its baseline: both run the same work, each in a process of an
environment of its own, and take turns. The tables show medians, and the median of the ratios of
pairs. Where both sides can make the same outputs, these are compared before anything is timed.
"""
