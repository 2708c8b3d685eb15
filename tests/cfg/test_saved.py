import json

import pytest

from sf_core.cfg.arguments import load_saved_cfg
from sf_core.cfg.config import Config
from sf_core.cfg.saved import read_config, write_config
from sf_core.utils.errors import UsageError


def test_a_written_configuration_reads_back_equal(tmp_path):
    cfg = Config({"a": 1, "b": [1, 2], "c": None, "d": -1}, {"a": "cli"}).replace("auto", d=8)
    write_config(tmp_path / "dir" / "run", cfg)
    back = load_saved_cfg(tmp_path / "dir", "run")
    assert (dict(back), back.origins, back.requested) == (dict(cfg), cfg.origins, cfg.requested)


def test_the_file_holds_schema_values_origins_and_requests(tmp_path):
    write_config(tmp_path, Config({"d": -1}).replace("auto", d=8))
    assert json.loads((tmp_path / "config.json").read_text()) == {
        "schema": 1,
        "values": {"d": 8},
        "origins": {"d": "auto"},
        "requested": {"d": {"value": -1, "origin": "default"}},
    }
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]  # no temporary file stays


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "cannot be read"),
        ('{"gamma": 0.9}', "was not written by sf_core"),
        ("[]", "was not written by sf_core"),
        ('{"schema": 99, "values": {}}', "has schema 99"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(tmp_path, text, sentence):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UsageError, match=sentence):
        read_config(tmp_path)


def test_no_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="there is no"):
        read_config(tmp_path)
