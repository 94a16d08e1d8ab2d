"""What a run reports: metrics, FLOPs, the model card."""
