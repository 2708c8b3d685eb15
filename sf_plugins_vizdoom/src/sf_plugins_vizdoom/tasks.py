"""The table of tasks: every scenario with its buttons, rewards, limits and shaping, as data.

What comes in: nothing. What leaves: `TASKS`, name -> `Task`. The numbers are Sample Factory's, so that its published
results can be compared; where its action space did not fit its buttons, the buttons are those of the action space.
This file is read by every `sf-list` and knows neither the engine nor numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

TICS_PER_SECOND = 35  # of the engine, whatever the machine
TICS_PER_MINUTE = 60 * TICS_PER_SECOND


@dataclass(frozen=True)
class Press:
    """A head of the action space that holds at most one of some buttons: 0 is none, i the i-th."""

    buttons: tuple[str, ...]


@dataclass(frozen=True)
class Turn:
    """A head that turns (or looks, or moves) by a number of degrees per tic, between -limit and limit.

    With `steps` the angle is one of that many evenly spaced ones (odd, so that the middle is none); without, it is a
    real number.
    """

    button: str
    limit: float
    steps: int = 0


Head = Press | Turn


def flat(*buttons: str) -> tuple[Head, ...]:
    """One head over all buttons: nothing, or one button at a time."""
    return (Press(buttons),)


def heads(*groups: str) -> tuple[Head, ...]:
    """A head for each group of buttons that exclude one another, written `"MOVE_LEFT MOVE_RIGHT"`."""
    return tuple(Press(tuple(group.split())) for group in groups)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One environment.

    Attributes:
        wad: the map's file.
        heads: of the action space; one `Press` alone is Discrete, anything else a Tuple.
        variables: what is read from the game besides the screen, in the engine's names.
        summary: one line.
        timeout: tics after which the episode is truncated; 0 is never.
        start_time: tic at which the episode starts (until then things fall to the floor).
        living_reward: per tic.
        death_penalty: what dying costs.
        skill: the game's own difficulty, 1 to 5.
        hud, crosshair, weapon: whether they are drawn.
        game_args: further arguments for the engine.
        reward_scale: factor on the reward, shaping included.
        measurements: what the observation has beside the screen: "", "status" (see `measurements.py`) or "variables"
            (as they are).
        shaping: "", "gathering", or the name of a scheme in `shaping.py`.
        objective: what the policy is really for: "", "return" (without shaping), "frags" or "win".
        deathmatch: whether the map is made for several players, so that it needs their rules even for one.
        num_agents: players that learn.
        num_bots: players that the game plays itself.
        respawn_delay: seconds a dead player waits in a game of several players.
    """

    wad: str
    heads: tuple[Head, ...]
    variables: tuple[str, ...] = ()
    summary: str = ""
    timeout: int = 0
    start_time: int = 1
    living_reward: float = 0.0
    death_penalty: float = 0.0
    skill: int = 3
    hud: bool = True
    crosshair: bool = False
    weapon: bool = True
    game_args: str = ""
    reward_scale: float = 1.0
    measurements: str = ""
    shaping: str = ""
    objective: str = ""
    deathmatch: bool = False
    num_agents: int = 1
    num_bots: int = 0
    respawn_delay: int = 0

    @property
    def is_multiplayer(self) -> bool:
        """Whether it is played over the engine's network code."""
        return self.deathmatch or self.num_agents > 1 or self.num_bots > 0

    @property
    def is_continuous(self) -> bool:
        """Whether a head is a real number."""
        return any(isinstance(head, Turn) and not head.steps for head in self.heads)


WALK = "MOVE_FORWARD MOVE_BACKWARD"
STRAFE = "MOVE_RIGHT MOVE_LEFT"
TURN = "TURN_LEFT TURN_RIGHT"
CYCLE_WEAPONS = "SELECT_NEXT_WEAPON SELECT_PREV_WEAPON"
SELECT_WEAPON = " ".join(f"SELECT_WEAPON{number}" for number in range(1, 8))
TURN_DELTA = "TURN_LEFT_RIGHT_DELTA"

BATTLE_HEADS = (*heads(WALK, STRAFE, "ATTACK", "SPEED"), Turn(TURN_DELTA, 10.0, 11))
DEATHMATCH_HEADS = (*heads(WALK, STRAFE, CYCLE_WEAPONS, "ATTACK", "SPEED"), Turn(TURN_DELTA, 7.5))
WEAPONS_HEADS = (*heads(WALK, STRAFE, SELECT_WEAPON, "ATTACK", "SPEED"), Turn(TURN_DELTA, 12.5, 21))
FULL_HEADS = (*heads(WALK, STRAFE, SELECT_WEAPON, "ATTACK", "SPEED", "USE"), Turn(TURN_DELTA, 12.5, 21))

ARMED = ("SELECTED_WEAPON", "SELECTED_WEAPON_AMMO", "HEALTH", "USER2")  # USER2 counts kills in the battle maps
FIGHTING = (*ARMED, "DEATHCOUNT", "FRAGCOUNT", "HITCOUNT", "DEAD")
STANDINGS = ("PLAYER_NUMBER", "PLAYER_COUNT", *(f"PLAYER{number}_FRAGCOUNT" for number in range(1, 17)))
ARSENAL = (
    *("ARMOR", "ATTACK_READY", "DAMAGECOUNT"),
    *(f"WEAPON{slot}" for slot in range(10)),
    *(f"AMMO{slot}" for slot in range(10)),
)
DUEL_MINUTES = 4  # of a game of several players


def _basic(wad: str, summary: str, **changes: object) -> Task:
    values: dict[str, object] = {
        "heads": flat("MOVE_LEFT", "MOVE_RIGHT", "ATTACK"),
        "timeout": 300,
        "start_time": 14,
        "living_reward": -1.0,
        "reward_scale": 0.01,
        **changes,
    }
    return Task(wad=wad, summary=summary, **values)  # type: ignore[arg-type]


def _gathering(wad: str, summary: str, action_heads: tuple[Head, ...]) -> Task:
    return Task(
        wad=wad,
        summary=summary,
        heads=action_heads,
        variables=("HEALTH",),
        timeout=2100,
        living_reward=0.01,
        hud=False,
        weapon=False,
        shaping="gathering",
        objective="return",
    )


def _battle(wad: str, summary: str, action_heads: tuple[Head, ...] = BATTLE_HEADS, *, shaped: bool = True) -> Task:
    return Task(
        wad=wad,
        summary=summary,
        heads=action_heads,
        variables=ARMED,
        timeout=2100,
        skill=2,
        crosshair=True,
        measurements="status" if shaped else "",
        shaping="bots" if shaped else "",
        objective="return" if shaped else "",
    )


def _fight(wad: str, summary: str, action_heads: tuple[Head, ...], **changes: object) -> Task:
    values: dict[str, object] = {
        "variables": (*FIGHTING, *STANDINGS, *ARSENAL),
        "timeout": DUEL_MINUTES * TICS_PER_MINUTE,
        "crosshair": True,
        "deathmatch": True,
        "measurements": "status",
        "shaping": "deathmatch",
        "objective": "win",
        **changes,
    }
    return Task(wad=wad, summary=summary, heads=action_heads, **values)  # type: ignore[arg-type]


_WALKER = heads(TURN, WALK)
_FLAT_WALKER = flat("TURN_LEFT", "TURN_RIGHT", "MOVE_FORWARD", "MOVE_BACKWARD")
_GUARD = heads(TURN, "ATTACK")
_CENTER = {"timeout": 2100, "start_time": 10, "death_penalty": 1.0, "variables": ("AMMO2", "HEALTH")}
_HOME = {
    "timeout": 2100,
    "start_time": 10,
    "living_reward": -0.0001,
    "skill": 5,
    "hud": False,
    "variables": ("AMMO0",),
}


SAMPLE_FACTORY_TASKS: dict[str, Task] = {
    "doom_basic": _basic("basic.wad", "shoot the monster on the other side of a room", skill=5),
    "doom_two_colors_easy": _gathering("two_colors_easy.wad", "collect objects of the indicated colour", _WALKER),
    "doom_two_colors_hard": _gathering("two_colors_hard.wad", "collect objects of the colour shown at first", _WALKER),
    "doom_dm": _fight("cig.wad", "deathmatch of eight agents, continuous turning", DEATHMATCH_HEADS, num_agents=8),
    "doom_dwango5": _fight("dwango5.wad", "deathmatch of eight agents on dwango5", DEATHMATCH_HEADS, num_agents=8),
    "doom_my_way_home_flat_actions": Task(
        wad="my_way_home.wad",
        summary="find the vest in a maze, one button at a time",
        heads=_FLAT_WALKER,
        **_HOME,  # type: ignore[arg-type]
    ),
    "doom_defend_the_center_flat_actions": Task(
        wad="defend_the_center.wad",
        summary="turn and shoot what comes closer, one button at a time",
        heads=flat("TURN_LEFT", "TURN_RIGHT", "ATTACK"),
        **_CENTER,  # type: ignore[arg-type]
    ),
    "doom_my_way_home": Task(
        wad="my_way_home.wad",
        summary="find the vest in a maze",
        heads=_WALKER,
        **_HOME,  # type: ignore[arg-type]
    ),
    "doom_deadly_corridor": Task(
        wad="deadly_corridor.wad",
        summary="reach the vest at the end of a guarded corridor",
        heads=heads(TURN, WALK, "MOVE_LEFT MOVE_RIGHT", "ATTACK"),
        variables=("HEALTH",),
        timeout=2100,
        death_penalty=100.0,
        skill=5,
        reward_scale=0.01,
    ),
    "doom_defend_the_center": Task(
        wad="defend_the_center.wad",
        summary="turn and shoot what comes closer",
        heads=_GUARD,
        **_CENTER,  # type: ignore[arg-type]
    ),
    "doom_defend_the_line": Task(
        wad="defend_the_line.wad",
        summary="hold a line against monsters that grow tougher",
        heads=_GUARD,
        **{**_CENTER, "timeout": 0},  # type: ignore[arg-type]
    ),
    "doom_health_gathering": _gathering("health_gathering.wad", "survive on acid by picking up medikits", _FLAT_WALKER),
    "doom_health_gathering_supreme": _gathering(
        "health_gathering_supreme.wad", "the same in a maze, with poison among the medikits", _FLAT_WALKER
    ),
    "doom_battle": _battle("battle.wad", "kill monsters in a maze, gather ammunition and health"),
    "doom_battle2": _battle("battle2.wad", "the same in a larger maze"),
    "doom_duel_bots": _fight(
        "ssl2.wad",
        "duel against a bot",
        FULL_HEADS,
        num_bots=1,
        respawn_delay=2,
        shaping="bots",
        objective="frags",
    ),
    "doom_deathmatch_bots": _fight(
        "dwango5.wad", "deathmatch against seven bots", WEAPONS_HEADS, num_bots=7, shaping="bots", objective="frags"
    ),
    "doom_duel": _fight("ssl2.wad", "duel of two agents", FULL_HEADS, num_agents=2, respawn_delay=2),
    "doom_deathmatch_full": _fight(
        "freedm.wad", "deathmatch of four agents and four bots", FULL_HEADS, num_agents=4, num_bots=4, respawn_delay=2
    ),
    "doom_benchmark": _battle(
        "battle.wad",
        "for measuring throughput: battle with one button at a time",
        flat(
            *("MOVE_FORWARD", "MOVE_BACKWARD", "MOVE_RIGHT", "MOVE_LEFT", "TURN_RIGHT", "TURN_LEFT", "ATTACK", "SPEED")
        ),
        shaped=False,
    ),
}

# The other scenarios of the vizdoom package, with its own rewards and limits. Left out: basic_audio and
# basic_notifications, whose point is sound and text that no encoder here listens to; cig_with_unknown.wad (the cig maps
# once more, for a contest); learning, oblige, doom, doom2 and freedoom, which are whole games: `doom:freedoom2.cfg`.
FURTHER_TASKS: dict[str, Task] = {
    "doom_predict_position": Task(
        wad="predict_position.wad",
        summary="hit a walking monster with a single rocket",
        heads=_GUARD,
        timeout=300,
        start_time=16,
        living_reward=-0.001,
        skill=1,
        hud=False,
        game_args="+sv_noautoaim 1",
    ),
    "doom_take_cover": Task(
        wad="take_cover.wad",
        summary="dodge fireballs",
        heads=flat("MOVE_LEFT", "MOVE_RIGHT"),
        variables=("HEALTH",),
        living_reward=1.0,
        skill=4,
        hud=False,
    ),
    "doom_rocket_basic": _basic(
        "rocket_basic.wad", "doom_basic with a rocket launcher", hud=False, game_args="+sv_noautoaim 1"
    ),
    "doom_simpler_basic": _basic("simpler_basic.wad", "doom_basic with a monster that is easy to see", hud=False),
    "doom_deathmatch": Task(
        wad="deathmatch.wad",
        summary="fight monsters in an arena with every weapon",
        heads=(*heads(WALK, STRAFE, SELECT_WEAPON, "ATTACK", "SPEED"), Turn(TURN_DELTA, 12.5, 21)),
        variables=("KILLCOUNT", "ARMOR", *ARMED),
        timeout=4200,
        hud=False,
        measurements="status",
    ),
    "doom_multi_duel": _fight(
        "multi_duel.wad",
        "two agents shoot at each other across a room, one button at a time",
        flat("MOVE_LEFT", "MOVE_RIGHT", "ATTACK"),
        num_agents=2,
        skill=5,
        timeout=TICS_PER_MINUTE,
    ),
    "doom_multi_deathmatch": _fight(
        "multi_deathmatch.wad",
        "deathmatch of four agents in a small arena",
        BATTLE_HEADS,
        num_agents=4,
        death_penalty=1.0,
    ),
}

TASKS: dict[str, Task] = {**SAMPLE_FACTORY_TASKS, **FURTHER_TASKS}
