"""How sure one can be: error bars of one score, and differences between scores, over documents."""
