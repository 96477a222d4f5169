"""Settings: where they come from, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from lgnb.errors import SettingsError
from lgnb.settings import Settings


def test_an_override_counts_more_than_the_environment() -> None:
    settings = Settings.from_environment(environment={"LGNB_JOBS": "3", "LGNB_WORKERS": "2"}, overrides={"jobs": 5})

    assert (settings.jobs, settings.workers) == (5, 2)


def test_a_well_known_name_of_another_server_is_the_second_choice() -> None:
    environment = {
        "DATABASE_URI": "postgresql://other/db",
        "LGNB_REDIS_URI": "redis://ours",
        "REDIS_URI": "redis://other",
    }

    settings = Settings.from_environment(environment=environment)

    assert settings.postgres_uri == "postgresql://other/db"
    assert settings.redis_uri == "redis://ours"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LGNB_JOBS", "many", "LGNB_JOBS is 'many', but must be a whole number."),
        ("LGNB_JOBS", "0", "jobs is 0, but must be at least 1."),
        ("LGNB_ISOLATED_LOOPS", "maybe", "isolated_loops is 'maybe', but must be one of auto, always, never."),
        ("LGNB_POSTGRES_URI", "mysql://x", "postgres_uri must begin with postgresql://."),
        ("LGNB_CONFIG", "/nowhere/langgraph.json", "There is no file /nowhere/langgraph.json"),
    ],
)
def test_a_wrong_value_is_refused_with_one_sentence(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence.replace(".", r"\.")):
        Settings.from_environment(environment={name: value})


def test_settings_survive_the_way_through_the_environment_of_a_child() -> None:
    settings = Settings.from_environment(environment={"LGNB_JOBS": "7", "LGNB_LEASE_SECONDS": "2.5"})

    assert Settings.from_environment(environment=settings.environment()) == settings


def test_the_first_directory_with_a_configuration_counts_when_none_was_named(tmp_path: Path) -> None:
    notebooks, current = tmp_path / "notebooks", tmp_path / "current"
    for directory in (notebooks, current):
        directory.mkdir()
        (directory / "langgraph.json").write_text("{}")
    named = tmp_path / "named.json"
    named.write_text("{}")

    assert Settings().with_config_of(tmp_path).config is None
    assert Settings().with_config_of(tmp_path, notebooks, current).config == notebooks / "langgraph.json"
    assert Settings(config=named).with_config_of(notebooks).config == named
