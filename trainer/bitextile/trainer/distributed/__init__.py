"""Several processes: communication, gradients, sharding."""
