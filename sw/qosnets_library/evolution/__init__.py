"""Evolution of approximate multipliers: Cartesian genetic programming on gate netlists."""
