"""Amaranth generator of the MAC array, its synthesis reports and the command line."""
