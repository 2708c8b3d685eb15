import logging
import os
import subprocess
import sys

import pytest

from sf_core.utils.log import log, log_to_file


def test_importing_the_logger_configures_nothing():
    code = "import sf_core.utils.log as l; assert not l.log.handlers and l.log.level == 0"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_records_reach_the_file_and_stop_when_the_handler_is_removed(tmp_path):
    level = log.level
    path = tmp_path / "run" / "sf_log.txt"
    handler = log_to_file(path)
    try:
        log.debug("the %s message", "first")
    finally:
        log.removeHandler(handler)
        handler.close()
        log.setLevel(level)
    log.warning("second")
    text = path.read_text()
    assert "DEBUG" in text
    assert "the first message" in text
    assert "second" not in text
    assert logging.getLogger("sf_core") is log


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
def test_a_full_disk_costs_lines_and_nothing_else(capsys):
    level = log.level
    handler = log_to_file("/dev/full")
    try:
        log.debug("lost")
    finally:
        log.removeHandler(handler)
        handler.close()
        log.setLevel(level)
    assert capsys.readouterr().err == ""
