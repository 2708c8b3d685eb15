"""KEEP IT RUNNING: wiring, the loop, what a run leaves behind and what it shows."""
