"""Other methods that choose approximate multipliers for a network, on the same footing."""
