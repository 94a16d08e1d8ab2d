"""What a model supplies: pseudo translations and switching candidates, over Arrow batches."""
