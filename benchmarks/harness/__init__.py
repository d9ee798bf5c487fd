"""What all benchmarks share: environments of the peers, sides that take turns, tables."""
