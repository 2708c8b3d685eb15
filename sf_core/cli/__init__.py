"""What the commands `sf-train`, `sf-eval`, `sf-enjoy`, `sf-list`, `sf-export` and `sf-hub` do with their arguments."""
