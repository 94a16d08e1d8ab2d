"""Statistical word alignment: fitted once on a sample, applied to any batch of sentence pairs."""
