"""The quantised network: layers, their arithmetic, and its integer export."""
