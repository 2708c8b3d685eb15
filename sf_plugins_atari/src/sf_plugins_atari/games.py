"""The 57 games: Sample Factory's environment names, and the ROM of the Arcade Learning Environment each one means.

Data only, standard library only: the plugin module imports this file, so `sf-list` can show the games without a
simulator. The names keep Sample Factory's spelling (`asteroid`, `kongfumaster`, `montezuma`), because they are what
people have in their command lines.
"""

from __future__ import annotations

DEFAULT_MAX_FRAMES = 108_000
"""Emulator frames after which a game is cut: half an hour at 60 frames per second (Machado et al. 2018, table 5)."""

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
"""Games with a limit of their own, in emulator frames."""
