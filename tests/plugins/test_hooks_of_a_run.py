import pytest

from sf_core import EnvSpec, UsageError
from sf_core.plugins.manager import build_plan


def env(name):
    return EnvSpec(name=name, factory="p:f")


def recording(calls, label, result=None):
    def hook(cfg, plan):
        calls.append((label, cfg["env"], plan.env.name))
        return result

    return hook


def test_only_plugins_that_take_part_or_were_named_are_asked(plugin, manager_of):
    calls = []
    manager = manager_of(
        plugin("owner", env("x"), sf_configure=recording(calls, "owner")),
        plugin("named", sf_configure=recording(calls, "named")),
        plugin("bystander", env("y"), sf_configure=recording(calls, "bystander")),
        requests=("named",),
    )
    cfg = {"env": "owner/x"}
    manager.configure(cfg, build_plan(cfg, manager))
    assert calls == [("owner", "owner/x", "x"), ("named", "owner/x", "x")]


def test_a_hook_may_take_fewer_arguments_than_its_specification(plugin, manager_of):
    seen = []
    manager = manager_of(plugin("owner", env("x"), sf_configure=lambda plan: seen.append(plan.env.name)))
    manager.configure({"env": "x"}, build_plan({"env": "x"}, manager))
    assert seen == ["x"]


def test_a_plugin_may_refuse_a_configuration(plugin, manager_of):
    def refuse(cfg):
        raise UsageError("maze_size=4 is even; try 5")

    manager = manager_of(plugin("owner", env("x"), sf_configure=refuse))
    with pytest.raises(UsageError, match=r"^maze_size=4 is even; try 5$"):
        manager.configure({"env": "x"}, build_plan({"env": "x"}, manager))


def test_a_plugin_that_fails_while_looking_is_named(plugin, manager_of):
    def fail(cfg):
        return cfg["absent_key"]

    make = lambda: plugin("owner", env("x"), sf_configure=fail)  # noqa: E731
    manager = manager_of(make())
    with pytest.raises(
        UsageError, match=r"plugin owner \(owner-dist 1.0\) failed in sf_configure\(\): KeyError.*-p no:owner"
    ):
        manager.configure({"env": "x"}, build_plan({"env": "x"}, manager))
    strict = manager_of(make(), strict=True)
    with pytest.raises(KeyError):
        strict.configure({"env": "x"}, build_plan({"env": "x"}, strict))


def test_header_lines_are_collected_and_a_failure_costs_only_its_own(plugin, manager_of, warnings_of):
    def late(cfg):
        yield "first of two"
        raise RuntimeError("late boom")

    manager = manager_of(
        plugin("owner", env("x"), sf_report_header=lambda: "one line"),
        plugin("several", sf_report_header=lambda cfg, plan: (f"line {i}" for i in range(2))),
        plugin("failing", sf_report_header=late),
        plugin("silent", sf_report_header=lambda: None),
        plugin("bystander", sf_report_header=lambda: "not asked"),
        requests=("several", "failing", "silent"),
    )
    assert manager.report_header({"env": "x"}, build_plan({"env": "x"}, manager)) == ["one line", "line 0", "line 1"]
    assert warnings_of() == ["plugin failing (failing-dist 1.0) failed in sf_report_header(): RuntimeError: late boom"]
