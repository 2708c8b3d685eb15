"""WHERE EXPERIENCE COMES FROM: environments of every kind, and the one interface the sampler steps them through."""
