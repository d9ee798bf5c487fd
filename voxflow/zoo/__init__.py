"""Empty, as gunpowder's is. Networks are in `voxflow.models`."""
