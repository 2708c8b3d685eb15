"""ViZDoom environments for sf_core; `plugin.py` says what is offered. Nothing is imported here."""
