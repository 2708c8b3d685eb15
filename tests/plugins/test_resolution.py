import pytest

from sf_core import Arg, EnvSpec, WrapperSpec
from sf_core.plugins.manager import ComponentError

FACTORY = "pkg:make"


def env(name, **fields):
    return EnvSpec(name=name, factory=FACTORY, **fields)


@pytest.fixture
def manager(plugin, manager_of):
    return manager_of(
        plugin(
            "atari",
            env("atari_pong"),
            env("atari_breakout"),
            env("ALE/", family=True),
            env("ALE/special/", family=True),
        ),
        plugin("lab", env("dmlab_", family=True), env("dmlab_exact")),
        plugin("namespace", env("maze")),
    )


@pytest.mark.parametrize(
    ("typed", "qualified", "given_to_the_factory"),
    [
        ("atari_pong", "atari/atari_pong", "atari_pong"),
        ("atari/atari_pong", "atari/atari_pong", "atari_pong"),
        ("dmlab_explore", "lab/dmlab_", "dmlab_explore"),
        ("dmlab_exact", "lab/dmlab_exact", "dmlab_exact"),  # exact before family
        ("lab/dmlab_explore", "lab/dmlab_", "dmlab_explore"),
        ("ALE/Pong-v5", "atari/ALE/", "ALE/Pong-v5"),
        ("atari/ALE/Pong-v5", "atari/ALE/", "ALE/Pong-v5"),
        ("ALE/special/Pong-v5", "atari/ALE/special/", "ALE/special/Pong-v5"),  # longest prefix
        ("CartPole-v1", "core/CartPole-v1", "CartPole-v1"),
        ("core/CartPole-v1", "core/CartPole-v1", "CartPole-v1"),
        ("gym:CartPole-v1", "core/CartPole-v1", "CartPole-v1"),  # with its tuned defaults
        ("core/gym:CartPole-v1", "core/CartPole-v1", "CartPole-v1"),
        ("gym:Acrobot-v1", "core/gym:", "gym:Acrobot-v1"),
        ("core/gym:Acrobot-v1", "core/gym:", "gym:Acrobot-v1"),
        ("py:my_pkg.maze:make", "core/py:", "py:my_pkg.maze:make"),
        ("my_pkg:Maze-v0", "core/gym:", "my_pkg:Maze-v0"),
        ("ns/Maze", "core/gym:", "ns/Maze"),
        ("Acrobot-v1", "core/gym:", "Acrobot-v1"),
        ("namespace/Maze-v0", "core/gym:", "namespace/Maze-v0"),  # a Gymnasium namespace that a plugin is named after
    ],
)
def test_names_of_envs(manager, typed, qualified, given_to_the_factory):
    choice, name = manager.choose("env", typed)
    assert choice.winner.qualified == qualified
    assert name == given_to_the_factory


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("atari_pogn", "unknown env 'atari_pogn', did you mean 'atari_pong'"),
        ("zzz", "unknown env 'zzz'; `sf-list envs` shows what there is."),
        ("atari/atari_pogn", "plugin atari has no env 'atari_pogn', did you mean 'atari_pong'"),
        ("namespace/zzz", "plugin namespace has no env 'zzz'; it offers maze."),
        ("", "no env is named"),
        (None, "no env is named"),
    ],
)
def test_unknown_envs(manager, typed, sentence):
    with pytest.raises(ComponentError) as caught:
        manager.resolve("env", typed)
    assert sentence in str(caught.value)


def test_other_kinds_have_neither_families_nor_gymnasium_ids(manager):
    with pytest.raises(ComponentError, match="unknown encoder 'Acrobot-v1'; `sf-list encoders`"):
        manager.resolve("encoder", "Acrobot-v1")
    with pytest.raises(ComponentError, match="unknown actor_critic 'zzz'; `sf-list actor-critics`"):
        manager.resolve("actor_critic", "zzz")
    with pytest.raises(ComponentError, match=r"plugin lab has no encoder 'zzz'; it offers no encoder."):
        manager.resolve("encoder", "lab/zzz")


def test_a_qualified_name_loads_its_owner_alone_and_auto_loads_nobody(plugin, manager_of):
    manager = manager_of(plugin("a", env("x")), plugin("b", env("y")))

    def loaded():
        return [record.name for record in manager.plugins() if record.status != "found"]

    manager.resolve("encoder", "auto")
    assert loaded() == ["core"]
    manager.resolve("env", "a/x")
    assert loaded() == ["core", "a"]
    manager.resolve("env", "x")  # may be anybody's
    assert loaded() == ["core", "a", "b"]


def test_a_blocked_owner_is_named(plugin, manager_of):
    manager = manager_of(plugin("a", env("x")), requests=("no:a",))
    with pytest.raises(ComponentError, match=r"env 'a/x': plugin a .* is blocked: blocked by -p no:a"):
        manager.resolve("env", "a/x")
    with pytest.raises(ComponentError, match=r"These plugins were not loaded: a \(blocked"):
        manager.resolve("env", "x")


def test_the_owner_of_a_flag_is_found_without_selecting_it(plugin, manager_of):
    size = Arg("--maze_size", int, 16)
    manager = manager_of(
        plugin("my_env", env("my_maze", args=(size,)), Arg("--my_env_cache")),
        plugin("many", *(env(f"game_{i}", args=(Arg("--many_fps"),)) for i in range(5))),
        plugin("w", WrapperSpec(name="penalty", factory=FACTORY, args=(size,))),
    )
    assert manager.owner_of_flag("--maze_size=3") == (
        "`--maze_size` belongs to env my_maze (plugin my_env) and wrapper penalty (plugin w)"
    )
    assert manager.owner_of_flag("--no_maze_size") == (
        "`--no_maze_size` belongs to env my_maze (plugin my_env) and wrapper penalty (plugin w)"
    )
    assert (
        manager.owner_of_flag("--many_fps")
        == "`--many_fps` belongs to 5 envs of plugin many (game_0, game_1, game_2, ...)"
    )
    assert (
        manager.owner_of_flag("--my_env_cache")
        == "`--my_env_cache` belongs to plugin my_env as a whole (load it with -p my_env)"
    )
    assert manager.owner_of_flag("--nobody") is None
