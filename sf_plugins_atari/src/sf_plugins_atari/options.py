"""The flags of the games, and the two evaluation protocols of the literature as sets of them.

Data only, standard library and sf_core only: imported with the plugin module. Frame skip and stack are sf_core's own
flags (`--env_frameskip`, `--env_framestack`), and so is clipping (`--reward_clip`), which only the learner sees.
"""

from __future__ import annotations

from sf_core import Arg, Preset
from sf_plugins_atari.games import DEFAULT_MAX_FRAMES, GAME_PREFIX, ROM_PREFIX

ARGS: tuple[Arg, ...] = (
    Arg(
        "--atari_backend",
        str,
        "ale",
        "what emulates the games: ale (the vector environment of ale-py) or envpool (pip install envpool)",
        choices=("ale", "envpool"),
    ),
    Arg("--atari_sticky_actions", float, 0.0, "probability that a frame repeats the previous action instead; or 0.25"),
    Arg("--atari_full_action_set", bool, False, "all 18 actions of the console instead of those the game uses"),
    Arg("--atari_grayscale", bool, True, "see the games in grey; False: in colour"),
    Arg("--atari_episodic_life", bool, True, "a lost life ends an episode for the learner; the game and score go on"),
    Arg("--atari_fire_reset", bool, True, "press FIRE once at the start of a game that has that button"),
    Arg("--atari_noop_max", int, 30, "a game starts after fewer than this many frames of doing nothing; 0 = none"),
    Arg("--atari_max_frames", int, DEFAULT_MAX_FRAMES, "emulator frames after which a game is cut (truncated)"),
    Arg(
        "--atari_threads",
        int,
        0,
        "threads that emulate the games of one process; 0 = its share of the cores, at most one per game",
    ),
)

_GAMES = (f"{GAME_PREFIX}*", f"{ROM_PREFIX}*")

PRESETS: tuple[Preset, ...] = (
    Preset(
        name="atari_dqn",
        summary="the protocol of DQN and PPO: no-op starts, the game's own actions, lost lives end learning's episodes",
        applies_to=_GAMES,
        # Mnih et al. 2015 and Schulman et al. 2017; the time limit of 30 minutes is that of van Hasselt et al. 2016 and
        # those after them. FIRE at the start and ends at lost lives came with the code of OpenAI Baselines.
        values={
            "env_frameskip": 4,
            "env_framestack": 4,
            "reward_clip": 1.0,
            "atari_sticky_actions": 0.0,
            "atari_full_action_set": False,
            "atari_grayscale": True,
            "atari_episodic_life": True,
            "atari_fire_reset": True,
            "atari_noop_max": 30,
            "atari_max_frames": DEFAULT_MAX_FRAMES,
        },
    ),
    Preset(
        name="atari_machado2018",
        summary="the protocol of Machado et al. 2018: sticky actions, all 18 actions, lives mean nothing, five minutes",
        applies_to=_GAMES,
        # As the paper's own experiments; its clipping, stack and grey are DQN's. Five minutes at 60 frames per second.
        values={
            "env_frameskip": 5,
            "env_framestack": 4,
            "reward_clip": 1.0,
            "atari_sticky_actions": 0.25,
            "atari_full_action_set": True,
            "atari_grayscale": True,
            "atari_episodic_life": False,
            "atari_fire_reset": False,
            "atari_noop_max": 0,
            "atari_max_frames": 18_000,
        },
    ),
)
