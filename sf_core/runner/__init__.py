"""KEEP IT RUNNING: the two engines and what they are wired of.

`serial` and `parallel` are the loops, `processes` what the parallel one is made of, `files` what a run leaves on disk
and how it goes on from there, `reports` what it tells.
"""
