"""Names that another package adds to aurac."""
