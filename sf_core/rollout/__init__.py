"""WHAT MOVES: the table of a rollout, its buffers and its slots. The only thing sampler and learner share."""
