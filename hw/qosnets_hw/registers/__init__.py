"""Registers of the accelerator: map, documents and the hardware behind AXI4-Lite."""
