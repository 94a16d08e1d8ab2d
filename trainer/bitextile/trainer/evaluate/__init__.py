"""What a model or dataset is worth: retrieval, word alignment, masked perplexity."""
