"""Multiplier libraries: netlist import, exhaustive evaluation, characterisation, storage."""
