"""Atari 2600 games for sf_core; `plugin.py` says what is offered. Nothing is imported here."""
