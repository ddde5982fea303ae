"""What `aurac bench` does: a recipe becomes trainings and scorings, which are run, and a choice of settings."""
