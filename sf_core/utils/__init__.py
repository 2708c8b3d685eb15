"""Small tools that know nothing else of this package; standard library only."""
