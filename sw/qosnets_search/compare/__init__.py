"""Comparison of methods on one network, library, data set and cost."""
