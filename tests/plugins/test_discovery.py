import random

import importlib_metadata
import pytest

from sf_core.plugins.discovery import normalise, scan
from sf_core.plugins.manager import Manager

OFFERS_SAME_ENV = """
from sf_core import EnvSpec, hookimpl
@hookimpl
def sf_environments():
    yield EnvSpec(name="shared", factory="pkg:make")
"""


def test_names_have_one_spelling():
    assert normalise("My_Env.Plugin") == normalise("my-env--plugin") == "my-env-plugin"


def test_plugins_come_sorted_whatever_order_the_file_system_has(only_site, monkeypatch):
    for dist in ("zebra", "Apple", "mango"):
        only_site.add(dist, {dist.lower(): OFFERS_SAME_ENV})
    original = importlib_metadata.distributions
    seen = set()
    for seed in range(6):

        def shuffled(seed=seed):
            found = list(original())
            random.Random(seed).shuffle(found)
            seen.add(tuple(dist.name for dist in found))
            return found

        monkeypatch.setattr(importlib_metadata, "distributions", shuffled)
        assert [record.name for record in scan()] == ["apple", "mango", "zebra"]
        with pytest.raises(ValueError, match=r"apple/shared \(Apple\), mango/shared \(mango\), zebra/shared \(zebra\)"):
            Manager().resolve("env", "shared")
    assert len(seen) > 1  # the file system really gave several orders


def test_two_distributions_with_one_plugin_name_are_both_kept(only_site):
    only_site.add("first-dist", {"maze": OFFERS_SAME_ENV})
    only_site.add("second-dist", {"maze": OFFERS_SAME_ENV.replace("shared", "other")})
    manager = Manager()
    records = {record.name: record for record in manager.survey()}
    assert {"maze@first-dist", "maze@second-dist"} <= set(records)
    assert "also used by second-dist" in records["maze@first-dist"].problems[0]
    assert manager.resolve("env", "maze@second-dist/other").plugin == "maze@second-dist"
    assert manager.resolve("env", "shared").plugin == "maze@first-dist"


def test_an_installed_plugin_cannot_take_the_name_of_the_core(only_site):
    only_site.add("impostor", {"core": OFFERS_SAME_ENV})
    records = {record.name: record for record in Manager().survey()}
    assert records["core"].distribution == "sf-core"
    assert records["core@impostor"].status == "ok"


def test_our_own_entry_point_is_not_a_second_core(only_site):
    info = only_site.folder / "sf_core-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sf-core\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[sf_core.plugins]\ncore = sf_core.plugins.builtin\n")
    assert [record.name for record in Manager().survey()] == ["core"]


def test_metadata_is_read_once_per_manager(only_site, monkeypatch):
    reads = []
    original = importlib_metadata.entry_points
    monkeypatch.setattr(importlib_metadata, "entry_points", lambda **kwargs: reads.append(kwargs) or original(**kwargs))
    manager = Manager()
    manager.survey()
    manager.all_components("env")
    assert reads == [{"group": "sf_core.plugins"}]
