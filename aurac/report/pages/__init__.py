"""Whole documents: the leaderboard and the model card, in Markdown and HTML."""
