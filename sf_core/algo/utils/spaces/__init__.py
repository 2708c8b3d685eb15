"""Import paths of Sample Factory's own spaces."""
