"""The verbs behind the commands, for programs: `score_folder`, and what `aurac bench` does."""
