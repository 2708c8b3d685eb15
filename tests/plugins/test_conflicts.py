"""The matrix of B8: who wins when several plugins offer one name; never the order in which they were found."""

import itertools

import pytest

from sf_core import EncoderSpec, EnvSpec, Preset, register_env
from sf_core.plugins.manager import ComponentError, build_plan
from sf_core.plugins.script import registering_for

FACTORY = "pkg:make"


def env(name, **fields):
    return EnvSpec(name=name, factory=FACTORY, **fields)


def in_every_order(*makers):
    """Each argument makes a record; yields fresh records in every order."""
    for order in itertools.permutations(makers):
        yield [make() for make in order]


def test_an_ambiguous_name_is_an_error_only_when_it_is_used(plugin, manager_of):
    for records in in_every_order(
        lambda: plugin("my_env", env("doom_basic"), env("my_maze"), dist="my-env-plugin"),
        lambda: plugin("vizdoom", env("doom_basic"), env("doom_health"), dist="sf-plugins-vizdoom"),
    ):
        manager = manager_of(*records)
        assert manager.resolve("env", "my_maze").plugin == "my_env"
        assert manager.resolve("env", "doom_health").plugin == "vizdoom"
        with pytest.raises(ComponentError) as caught:
            manager.resolve("env", "doom_basic")
        for part in (
            "env 'doom_basic' is provided by several plugins: ",
            "vizdoom/doom_basic (sf-plugins-vizdoom)",
            "my_env/doom_basic (my-env-plugin)",
            "Use the qualified name, or block one with -p no:NAME.",
        ):
            assert part in str(caught.value)


def test_a_qualified_name_is_never_ambiguous(plugin, manager_of):
    manager = manager_of(plugin("a", env("x")), plugin("b", env("x")))
    assert manager.resolve("env", "a/x").plugin == "a"
    assert manager.resolve("env", "b/x").plugin == "b"
    assert build_plan({"env": "b/x"}, manager).env.name == "x"


def test_blocking_one_of_them_settles_it(plugin, manager_of):
    manager = manager_of(plugin("a", env("x")), plugin("b", env("x")), requests=("no:a",))
    assert manager.resolve("env", "x").plugin == "b"


def test_one_that_replaces_the_other_wins_and_the_plan_says_so(plugin, manager_of):
    for records in in_every_order(lambda: plugin("a", env("x", replaces="b/x")), lambda: plugin("b", env("x"))):
        manager = manager_of(*records)
        assert manager.resolve("env", "x").plugin == "a"
        assert manager.resolve("env", "b/x").plugin == "b"
        plan = build_plan({"env": "x"}, manager)
        assert plan.notices == ("env a/x replaces b/x",)
        assert plan.to_json()["notices"] == ["env a/x replaces b/x"]


def test_replacing_one_of_three_leaves_a_conflict_of_two(plugin, manager_of):
    for records in in_every_order(
        lambda: plugin("a", env("x", replaces="b/x")), lambda: plugin("b", env("x")), lambda: plugin("c", env("x"))
    ):
        with pytest.raises(ComponentError, match="several plugins"):
            manager_of(*records).resolve("env", "x")


def test_two_that_replace_each_other_are_a_conflict(plugin, manager_of):
    for records in in_every_order(
        lambda: plugin("a", env("x", replaces="b/x")), lambda: plugin("b", env("x", replaces="a/x"))
    ):
        with pytest.raises(ComponentError, match="several plugins"):
            manager_of(*records).resolve("env", "x")


def test_a_chain_of_replacements_ends_at_its_last_link(plugin, manager_of):
    for records in in_every_order(
        lambda: plugin("a", env("x", replaces="b/x")),
        lambda: plugin("b", env("x", replaces="c/x")),
        lambda: plugin("c", env("x")),
    ):
        assert manager_of(*records).resolve("env", "x").plugin == "a"


def test_replacing_somebody_who_is_absent_changes_nothing(plugin, manager_of):
    manager = manager_of(plugin("a", env("x", replaces="absent/x")))
    assert manager.resolve("env", "x").plugin == "a"
    assert build_plan({"env": "x"}, manager).notices == ()


def test_a_file_named_with_p_wins_over_installed_plugins(plugin, manager_of):
    for records in in_every_order(
        lambda: plugin("installed", env("x")),
        lambda: plugin("replacing", env("x", replaces="installed/x")),
        lambda: plugin("file", env("x"), explicit=True),
    ):
        manager = manager_of(*records)
        assert manager.resolve("env", "x").plugin == "file"
        (notice,) = build_plan({"env": "x"}, manager).notices
        assert notice.startswith("env file/x, registered for this run, is used instead of ")


def test_what_a_script_registers_wins_over_installed_plugins(plugin, manager_of):
    manager = manager_of(plugin("installed", env("x")))
    assert manager.resolve("env", "x").plugin == "installed"
    register_env("x", make_something)
    assert manager.resolve("env", "x").plugin == "script"  # seen by a manager that was there before
    assert manager.resolve("env", "installed/x").plugin == "installed"
    plan = build_plan({"env": "x"}, manager)
    assert plan.notices == ("env script/x, registered for this run, is used instead of installed/x",)
    assert plan.plugins["script"] == {"distribution": "", "version": ""}


def make_something(full_env_name, cfg, env_config):
    return None


def test_two_explicit_ones_are_a_conflict(plugin, manager_of):
    manager = manager_of(plugin("a", env("x"), explicit=True), plugin("b", env("x"), explicit=True))
    with pytest.raises(ComponentError, match=r"a/x .*b/x"):
        manager.resolve("env", "x")


def test_a_registration_of_a_file_that_was_not_asked_for_here_does_not_count(plugin, manager_of):
    with registering_for("other_file"):
        register_env("x", make_something)
    assert manager_of(plugin("installed", env("x"))).resolve("env", "x").plugin == "installed"


def test_a_name_of_the_core_is_taken_over_by_an_explicit_act_only(plugin, manager_of):
    manager = manager_of(plugin("a", env("CartPole-v1"), EncoderSpec(name="mlp", factory=FACTORY)))
    for kind, name in (("env", "CartPole-v1"), ("encoder", "mlp")):
        with pytest.raises(ComponentError, match=f"core/{name} .*a/{name}"):
            manager.resolve(kind, name)
    assert manager.resolve("encoder", "auto").plugin == "core"
    replacing = manager_of(plugin("a", EncoderSpec(name="mlp", factory=FACTORY, replaces="core/mlp")))
    assert replacing.resolve("encoder", "mlp").plugin == "a"


def test_every_kind_has_its_own_names(plugin, manager_of):
    manager = manager_of(plugin("a", env("same")), plugin("b", EncoderSpec(name="same", factory=FACTORY)))
    assert manager.resolve("env", "same").plugin == "a"
    assert manager.resolve("encoder", "same").plugin == "b"


def test_presets_of_one_name_are_told_apart_by_the_env(plugin, manager_of):
    manager = manager_of(
        plugin("a", Preset(name="fast", values={"gamma": 0.1}, applies_to=("a_*",))),
        plugin("b", Preset(name="fast", values={"gamma": 0.2}, applies_to=("b_*",))),
    )
    assert manager.resolve_preset("fast", env="a_1").values == {"gamma": 0.1}
    assert manager.resolve_preset("fast", env="b_1").values == {"gamma": 0.2}
    assert manager.resolve_preset("b/fast").values == {"gamma": 0.2}
    with pytest.raises(ComponentError, match="several plugins"):
        manager.resolve_preset("fast")
    with pytest.raises(ComponentError, match=r"meant for a_\*, b_\*, not for c"):
        manager.resolve_preset("fast", env="c")


def test_installing_a_rival_does_not_change_what_the_defaults_of_an_env_mean(plugin, manager_of):
    def owner():
        return plugin("a", env("x", defaults={"encoder": "cnn"}), EncoderSpec(name="cnn", factory=FACTORY))

    class Cfg(dict):
        def origin(self, name):
            return {"encoder": "env"}.get(name, "cli")

    cfg = Cfg(env="x", encoder="cnn")
    alone = build_plan(cfg, manager_of(owner()))
    crowded = build_plan(cfg, manager_of(owner(), plugin("b", EncoderSpec(name="cnn", factory=FACTORY))))
    assert alone == crowded
    with pytest.raises(ComponentError, match="several plugins"):  # but typed by the user it is ambiguous
        build_plan(
            {"env": "x", "encoder": "cnn"}, manager_of(owner(), plugin("b", EncoderSpec(name="cnn", factory=FACTORY)))
        )
