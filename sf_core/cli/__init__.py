"""What the commands `sf-train`, `sf-eval`, `sf-enjoy` and `sf-list` do with their arguments."""
