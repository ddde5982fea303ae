"""What leaves an adapter folder, or comes from elsewhere: slices, merged models, rotations, converted checkpoints."""
