"""Numbers from curves and run records: AURAC, comparisons, the smallest adequate rank."""
