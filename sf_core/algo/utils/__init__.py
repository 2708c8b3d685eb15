"""Import paths of Sample Factory's `algo` package that scripts use; everything lives elsewhere."""
