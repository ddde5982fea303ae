"""Tables of comparisons, recommendations, costs and plans: which cells, which words, which notes."""
