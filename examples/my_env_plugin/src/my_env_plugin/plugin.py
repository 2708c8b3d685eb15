"""What this package offers to sf_core. Thin: the standard library and sf_core, nothing else."""

from sf_core import Arg, EncoderSpec, EnvSpec, Metric, ObserverSpec, UsageError, hookimpl


@hookimpl
def sf_environments():
    yield EnvSpec(
        name="my_maze",
        factory="my_env_plugin.env:make_maze",
        summary="find the way out of a maze that is new every time",
        defaults={
            "encoder": "my_maze_cnn",
            "use_rnn": False,
            "gamma": 0.97,
            "rollout": 32,
            "batch_size": 1024,
            "num_epochs": 2,
            "learning_rate": 0.001,
        },
        args=(Arg("--maze_size", int, 8, "rooms along each side of the maze"),),
        metrics=(
            Metric("maze_solved", "0 or 1", "whether the way out was found in time"),
            Metric("maze_explored", "0 to 1", "share of the rooms that were entered"),
        ),
    )


@hookimpl
def sf_encoders():
    yield EncoderSpec(
        name="my_maze_cnn",
        factory="my_env_plugin.model:MazeCNN",
        summary="two small convolutions for the view, joined with the compass",
        args=(Arg("--maze_channels", int, 32, "channels of each convolution"),),
    )


@hookimpl
def sf_observers():
    yield ObserverSpec(
        name="my_maze_goal",
        factory="my_env_plugin.observer:MazeGoal",
        summary="ends the run when enough mazes are solved",
        args=(Arg("--maze_goal", float, 0.9, "share of the last 100 mazes that must be solved"),),
    )


@hookimpl
def sf_configure(cfg):
    # called only for runs that use something of this plugin, and before anything is started
    if cfg.get("maze_size", 2) < 2:
        raise UsageError(f"maze_size={cfg.maze_size} leaves no room for a maze; try 2 or more.")
