from pathlib import Path

from sf_core.cfg.options import OPTION_GROUPS
from sf_core.cfg.options_table import DEFAULT_PATH, options_page

ROOT = Path(__file__).parents[2]


def test_the_page_of_options_is_current():
    assert (ROOT / DEFAULT_PATH).read_text(encoding="utf-8") == options_page(), (
        "run: python -m sf_core.cfg.options_table"
    )


def test_the_page_has_a_row_for_every_option():
    page = options_page()
    for group in OPTION_GROUPS:
        for option in group.options:
            assert f"`{option.flag}`" in page
            assert option.help or option.automatic, option.name
