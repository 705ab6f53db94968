"""Whether training is worth trying: an app as it is, with examples, and with retrieval, on rows held back."""
