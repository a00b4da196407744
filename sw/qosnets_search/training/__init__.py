"""Everything that trains: the loop, and the stages that use it."""
