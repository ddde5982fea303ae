"""Checkpoints of other programs: one file for each layout, which turns its tensors into PEFT's."""
