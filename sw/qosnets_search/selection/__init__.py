"""Choice of multipliers: error model, preferences, clustering."""
