"""Merged multipliers: one netlist whose partial products are gated by a mode."""
