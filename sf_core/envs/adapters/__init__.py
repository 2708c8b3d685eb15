"""One adapter for each kind of environment; all of them become an `AgentVector` (see `envs/timestep.py`)."""
