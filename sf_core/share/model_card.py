"""The card of a run: what it scored, the command that trained it, how to use it.

In: the folder of a run, and what `sf-eval` wrote, if it did. Out: Markdown with the header that the Hugging Face hub
reads. Does not know the hub.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any

from sf_core.cfg.saved import read_config
from sf_core.share.hub_files import CONFIG, RESULT, VIDEO
from sf_core.utils.errors import UsageError


def model_card(run: Path, repository: str, sent: Collection[str], evaluation: Path | None = None) -> str:
    """The card of `run`.

    Args:
        run: the folder.
        repository: `user/name`, for the commands in the card.
        sent: the files that go with it, by their paths in the repository.
        evaluation: what `sf-eval --output=FILE.json` wrote, or `sf-eval --json` printed.

    Raises:
        UsageError: `evaluation` is not what `sf-eval` writes, or is of a checkpoint that is not sent; or the
            configuration cannot be read.
    """
    config = read_config(run)
    env, algorithm = str(config.get("env")), str(config.get("algo", "APPO"))
    score, measured, flags = _score(run, sent, evaluation)
    name = repository.rpartition("/")[2]
    video = f"\n## Video\n\n[{VIDEO}]({VIDEO})\n" if VIDEO in sent else ""
    return f"""\
{_header(env, algorithm, score)}
# {algorithm} on {env}

Trained with [sf-core](https://pypi.org/project/sf-core/). {measured}

## Use it

```bash
pip install "sf-core[hub]"
sf-hub pull {repository}
sf-eval --experiment={name}{flags}
sf-enjoy --experiment={name} --save_video
```

```python
from sf_core import Policy

policy, rnn_state = Policy.load("train_dir/{name}"), None
action, rnn_state = policy.act(observation, rnn_state)  # rnn_state=None where an episode starts
```
{video}
## How it was trained

{_training(run, was_continued="saved" in config.origins.values())}
All options are in `{CONFIG}`. The files are data: reading them executes nothing.
"""


def _header(env: str, algorithm: str, score: str | None) -> str:
    """YAML; texts are written as JSON, which YAML reads."""
    task = {"type": "reinforcement-learning", "name": "reinforcement-learning"}
    results = [
        {
            "task": task,
            "dataset": {"name": env, "type": env},
            "metrics": [{"type": "mean_reward", "name": "mean_reward", "value": score, "verified": False}],
        }
    ]
    entries: dict[str, Any] = {
        "library_name": "sf-core",
        "pipeline_tag": "reinforcement-learning",
        "tags": ["reinforcement-learning", "deep-reinforcement-learning", "sf-core", env],
        "model-index": [{"name": algorithm, "results": results}] if score else [],
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in entries.items() if value]
    return "\n".join(["---", *lines, "---", ""])


def _score(run: Path, sent: Collection[str], evaluation: Path | None) -> tuple[str | None, str, str]:
    """`mean +/- std`, a sentence on how it was measured, and the flags of `sf-eval` that measure it again."""
    if evaluation is not None:
        result = _object(evaluation)
        try:
            mean, std, episodes = float(result["reward_mean"]), float(result["reward_std"]), int(result["episodes"])
            greedy, checkpoint = bool(result["deterministic"]), str(result["checkpoint"])
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{evaluation} is not what sf-eval --output=FILE.json writes ({error!r})") from error
        if not any(path.split("/")[-2:-1] == [checkpoint] for path in sent):
            raise UsageError(
                f"{evaluation} is of {checkpoint}, which is neither the newest checkpoint nor the best one and stays "
                "at home; measure one of these with sf-eval"
            )
        how = f"{'greedy' if greedy else 'sampled'} actions, checkpoint `{checkpoint}`"
        flags = f" --episodes={episodes}{' --eval_deterministic' if greedy else ''}"
        flags += " --load_checkpoint_kind=best" if checkpoint.startswith("best_") else ""
        sentence = f"Mean return **{mean:.2f}** ± {std:.2f} (standard deviation) over {episodes} episodes ({how})."
        return f"{mean:.2f} +/- {std:.2f}", sentence, flags
    reward = _object(run / RESULT).get("reward_mean") if (run / RESULT).is_file() else None
    if not isinstance(reward, int | float):
        return None, "It was not evaluated.", ""
    return f"{reward:.2f}", f"Mean return **{reward:.2f}** of the last episodes of training, with sampled actions.", ""


def _training(run: Path, was_continued: bool) -> str:
    """The last command and the versions, from `plan.json`, which itself stays at home."""
    path = run / "plan.json"
    plan = _object(path) if path.is_file() else {}
    command = [str(word) for word in plan.get("command") or ()][1:]  # without the interpreter
    if not command:
        return "The command was not recorded.\n"
    program = Path(command[0]).name
    words = [program, *command[1:]] if program.startswith("sf-") else ["python", program, *command[1:]]
    needed = dict(plan.get("versions") or {})
    for plugin in (plan.get("plugins") or {}).values():
        needed |= {plugin["distribution"]: plugin["version"]} if plugin.get("distribution") else {}
    versions = ", ".join(f"{name} {version}" for name, version in needed.items())
    earlier = f"This command continued it; what earlier ones asked for is in `{CONFIG}`.\n" if was_continued else ""
    return f"```bash\n{shlex.join(words)}\n```\n\n{earlier}With {versions}.\n"


def _object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"{path} does not hold an object")
    return data
