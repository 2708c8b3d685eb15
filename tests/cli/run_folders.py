"""Folders as runs leave them, without running anything."""

import json


def a_run(train_dir, name, *, result=None, lines=(), running="", **values):
    """Write a run's files; `lines` are those of `metrics.jsonl`."""
    folder = train_dir / name
    folder.mkdir(parents=True)
    values = {"env": "CartPole-v1", "seed": 1, "train_for_env_steps": 1000, "train_for_seconds": 10**10, **values}
    values |= {"experiment": name, "train_dir": str(train_dir)}
    config = {"schema": 1, "values": values, "origins": dict.fromkeys(values, "cli"), "requested": {}}
    (folder / "config.json").write_text(json.dumps(config))
    if result:
        (folder / "result.json").write_text(json.dumps(result))
    if lines:
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / ".running").write_text(running)
    return folder


def line(env_steps, reward_mean=1.0, **more):
    return {"env_steps": env_steps, "seconds": env_steps / 10, "fps": 10.0, "reward_mean": reward_mean, **more}
