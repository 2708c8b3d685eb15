"""Names: which ROM of the Arcade Learning Environment an environment of this package means.

Data only, standard library only: the plugin module imports this file, so `sf-list` can show the games without a
simulator. The 57 names keep Sample Factory's spelling (`asteroid`, `kongfumaster`, `montezuma`), because they are what
people have in their command lines; every game of the emulator has a second name with its ROM's own, `atari:asteroids`.
"""

from __future__ import annotations

GAME_PREFIX = "atari_"
ROM_PREFIX = "atari:"

DEFAULT_MAX_FRAMES = 108_000
"""Emulator frames after which a game is cut: half an hour at 60 frames per second, as for the human scores."""

ROMS: dict[str, str] = {
    "alien": "alien",
    "amidar": "amidar",
    "assault": "assault",
    "asterix": "asterix",
    "asteroid": "asteroids",
    "atlantis": "atlantis",
    "bankheist": "bank_heist",
    "battlezone": "battle_zone",
    "beamrider": "beam_rider",
    "berzerk": "berzerk",
    "bowling": "bowling",
    "boxing": "boxing",
    "breakout": "breakout",
    "centipede": "centipede",
    "choppercommand": "chopper_command",
    "crazyclimber": "crazy_climber",
    "defender": "defender",
    "demonattack": "demon_attack",
    "doubledunk": "double_dunk",
    "enduro": "enduro",
    "fishingderby": "fishing_derby",
    "freeway": "freeway",
    "frostbite": "frostbite",
    "gopher": "gopher",
    "gravitar": "gravitar",
    "hero": "hero",
    "icehockey": "ice_hockey",
    "jamesbond": "jamesbond",
    "kangaroo": "kangaroo",
    "kongfumaster": "kung_fu_master",
    "krull": "krull",
    "montezuma": "montezuma_revenge",
    "mspacman": "ms_pacman",
    "namethisgame": "name_this_game",
    "phoenix": "phoenix",
    "pitfall": "pitfall",
    "pong": "pong",
    "privateye": "private_eye",
    "qbert": "qbert",
    "riverraid": "riverraid",
    "roadrunner": "road_runner",
    "robotank": "robotank",
    "seaquest": "seaquest",
    "skiing": "skiing",
    "solaris": "solaris",
    "spaceinvaders": "space_invaders",
    "stargunner": "star_gunner",
    "surround": "surround",
    "tennis": "tennis",
    "timepilot": "time_pilot",
    "tutankham": "tutankham",
    "upndown": "up_n_down",
    "venture": "venture",
    "videopinball": "video_pinball",
    "wizardofwor": "wizard_of_wor",
    "yarsrevenge": "yars_revenge",
    "zaxxon": "zaxxon",
}

MAX_FRAMES: dict[str, int] = {"montezuma": 18_000}
"""Games that Sample Factory cuts earlier, in emulator frames."""


def rom_of(env_name: str) -> str:
    """Return the ROM that an environment's name means: `atari_mspacman` and `atari:ms_pacman` are `ms_pacman`."""
    if env_name.startswith(ROM_PREFIX):
        return env_name.removeprefix(ROM_PREFIX)
    return ROMS[env_name.removeprefix(GAME_PREFIX)]
