"""What happens in a layer: the gate on the rank, the handle that sets it, merging, PEFT's configuration of it."""
