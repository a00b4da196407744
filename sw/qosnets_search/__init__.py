"""Search of multipliers, their assignment to layers, and the parameters of operating points."""
