"""What a run tells: statistics, observers, the display, evaluations on the way."""
