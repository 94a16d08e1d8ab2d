"""From a manifest to masked batches: order, streams, mixture, tokens, masking, collate."""
