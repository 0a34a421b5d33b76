"""All that is wrong is told at once, each on its line, in the order of the file, and no secret with it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from logkeep.config import CommonSettings
from logkeep.config.findings import Findings
from logkeep.config.sections import Section
from logkeep.config.sources import Sources
from logkeep.errors import ConfigError
from logkeep.vendors.lexiang.settings import LexiangSettings
from logkeep.vendors.pan123.settings import Pan123Settings
from logkeep.vendors.settings import Settings, load_settings

from config_text import ACCOUNT, NOWHERE, SECRET, load, problems


def test_every_problem_is_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    tree = {
        "web": {"listen": "nowhere"},
        "pan123": [
            {**ACCOUNT, "base_url": "http://example.com", "page_sise": 5, "settle": "5d"},
            {"client_id": "", "name": "MAIN"},
        ],
        "colour": "blue",
        "download": {"total_timeout": "1s", "concurrency": "many"},
    }
    found = problems(tmp_path, tree, {"LOGKEEP_ZZZ": "1", "LOGKEEP_STORAGE__PATH": "x", "LOGKEEP_LOG__LEVEL": "loud"})
    assert list(found) == [
        "web.listen",
        "pan123[0].base_url",
        "pan123[0].page_sise",
        "pan123[0].lookback",
        "pan123[1].client_id",
        "pan123[1].name",
        "pan123[1].client_secret",
        "colour",
        "download.total_timeout",
        "download.concurrency",
        "LOGKEEP_STORAGE__PATH",
        "LOGKEEP_LOG__LEVEL",
        "LOGKEEP_ZZZ",
    ]


def test_problem_in_the_section_that_allows_http_does_not_hide_that_http_is_not_allowed(tmp_path: Path) -> None:
    account = {**ACCOUNT, "base_url": "http://example.com"}
    assert list(problems(tmp_path, {"download": {"concurrency": 0}, "pan123": [account]})) == [
        "download.concurrency",
        "pan123[0].base_url",
    ]
    found = problems(tmp_path, {"download": {"allow_http": "perhaps"}, "pan123": [account]})
    assert list(found) == ["download.allow_http"]


@pytest.mark.parametrize(
    ("tree", "where", "what"),
    [
        ({"storrage": {}}, "storrage", "no such section; did you mean storage?"),
        ({"pan321": []}, "pan321", "no such section; did you mean pan123?"),
        ({"gdrive": []}, "gdrive", "no such section; known here: storage, catalog, schedule, "),
        ({"_env_file": "/etc/passwd"}, "_env_file", "no such section"),
        ({"_cli_parse_args": True}, "_cli_parse_args", "no such section"),
        ({"_warnings": []}, "_warnings", "no such section"),
        ({"download": {"concurency": 1}}, "download.concurency", "no such key; did you mean concurrency?"),
        ({"daemon": {"xyzzy": 1}}, "daemon.xyzzy", "no such key; known here: drain"),
        ({"daemon": {"a b\n": 1}}, "daemon.'a b\\n'", "no such key"),
        ({"storage": {"url": "s3://bucket"}}, "storage.url", "no such key"),
        ({"download": 5}, "download", "write a section of keys here, not a bare value"),
        ({"download": SECRET}, "download", "write a section of keys here, not text"),
        ({"download": [{}]}, "download", "write a section of keys here"),
    ],
)
def test_key_that_is_unknown_or_no_section(tree: dict[str, Any], where: str, what: str, tmp_path: Path) -> None:
    found = problems(tmp_path, {**tree, "pan123": [ACCOUNT]})
    assert list(found) == [where]
    assert what in found[where]


def test_variable_for_a_key_of_what_is_no_section(tmp_path: Path) -> None:
    tree = {"download": 5, "pan123": [ACCOUNT]}
    assert list(problems(tmp_path, tree, {"LOGKEEP_DOWNLOAD__CONCURRENCY": "5"})) == ["download"]


@pytest.mark.parametrize("accounts", [{**ACCOUNT}, "main", 5, {}])
def test_accounts_with_single_brackets(accounts: object, tmp_path: Path) -> None:
    found = problems(tmp_path, {"pan123": accounts})
    assert list(found) == ["pan123"]
    assert "write [[pan123]] with double brackets" in found["pan123"]


@pytest.mark.parametrize("tree", [{}, {"pan123": []}, {"lexiang": []}, {"pan123": [], "lexiang": []}])
def test_no_account_at_all(tree: dict[str, Any], tmp_path: Path) -> None:
    assert problems(tmp_path, tree) == {"pan123": "no account; add a [[pan123]] or a [[lexiang]] section"}


def test_no_file_no_variables_and_no_account() -> None:
    with pytest.raises(
        ConfigError, match=r"^pan123: no account; add a \[\[pan123\]\] or a \[\[lexiang\]\] section$"
    ) as caught:
        load_settings(None, {}, default_path=NOWHERE)
    assert caught.value.exit_code == 2


def test_account_that_is_no_section(tmp_path: Path) -> None:
    assert list(problems(tmp_path, {"pan123": [ACCOUNT, SECRET, 5]})) == ["pan123[1]", "pan123[2]"]


def test_missing_keys_of_an_account_are_told_together(tmp_path: Path) -> None:
    assert list(problems(tmp_path, {"pan123": [{}]})) == [
        "pan123[0].client_secret",
        "pan123[0].name",
        "pan123[0].client_id",
    ]


@pytest.mark.parametrize("twin", ["main", "MAIN"])
def test_two_accounts_of_one_name(twin: str, tmp_path: Path) -> None:
    """Names are folders, and some file systems do not tell capitals apart."""
    found = problems(tmp_path, {"pan123": [ACCOUNT, {**ACCOUNT, "name": "b"}, {**ACCOUNT, "name": twin}]})
    assert found == {"pan123[2].name": f"'{twin}' is taken by pan123[0]; give each account a name of its own"}


def test_problem_worded_over_several_lines_is_told_on_one() -> None:
    findings = Findings(Sources())
    findings.add(("storage", "path"), "first\nsecond\x85third")
    with pytest.raises(ConfigError, match=r"^storage\.path: first\\nsecond\\x85third$"):
        findings.raise_if_any()


def test_settings_cannot_change_after_reading(tmp_path: Path) -> None:
    loaded = load(tmp_path, {"pan123": [ACCOUNT]})
    with pytest.raises(ValidationError, match="frozen"):
        loaded.download = loaded.download  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        loaded.pan123[0].page_size = 5  # type: ignore[misc]


def keys_of(model: type[Section]) -> list[str]:
    return list(model.model_fields)


SECTIONS = {
    name: keys_of(info.annotation)
    for name, info in CommonSettings.model_fields.items()
    if isinstance(info.annotation, type) and issubclass(info.annotation, Section)
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
GARBAGE = st.recursive(
    st.one_of(TEXT, st.integers(), st.floats(), st.booleans(), st.sampled_from(["0s", "1d", "https://x", "-", "/x"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=5,
)
ACCOUNT_KEYS = [key for key in keys_of(Pan123Settings) if key != "client_secret"]
LEXIANG_KEYS = [key for key in keys_of(LexiangSettings) if key != "app_secret"]
HIDDEN = st.sampled_from([SECRET, [SECRET], {"a": SECRET}, f"{SECRET}\n{SECRET}", f"\x00{SECRET}"])
TREES = st.fixed_dictionaries(
    {
        "pan123": st.lists(
            st.fixed_dictionaries({"client_secret": HIDDEN}, optional=dict.fromkeys(ACCOUNT_KEYS, GARBAGE)), max_size=3
        ),
        "lexiang": st.lists(
            st.fixed_dictionaries({"app_secret": HIDDEN}, optional=dict.fromkeys(LEXIANG_KEYS, GARBAGE)), max_size=2
        ),
    },
    optional={
        **{
            name: st.one_of(st.fixed_dictionaries({}, optional=dict.fromkeys(keys, GARBAGE)), GARBAGE)
            for name, keys in SECTIONS.items()
        },
        "alerts": st.fixed_dictionaries({}, optional={"urls": HIDDEN, "ping_url": HIDDEN, SECRET[:7]: HIDDEN}),
        "catalog": st.fixed_dictionaries({}, optional={"url": HIDDEN}),
        "http": st.fixed_dictionaries({}, optional={"proxy": HIDDEN}),
        "more": GARBAGE,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_garbage_at_every_key_is_problems_of_one_line_each_and_never_a_secret(
    tree: dict[str, Any], tmp_path: Path
) -> None:
    """Nothing but a ConfigError comes out, whatever is written; ``problems`` compares its lines with its problems."""
    found = problems(tmp_path, tree)
    for where, what in found.items():
        assert where.isprintable()
        assert what.isprintable()
        assert SECRET not in where + what


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.dictionaries(
        st.sampled_from([f"LOGKEEP_{name}__{key}".upper() for name, keys in SECTIONS.items() for key in keys]),
        st.text(max_size=20),
    ),
    accounts=st.text(max_size=20).map(SECRET.__add__),
)
def test_garbage_in_every_variable_is_problems_too(values: dict[str, str], accounts: str, tmp_path: Path) -> None:
    found = problems(tmp_path, {}, {**values, "LOGKEEP_PAN123": accounts})
    assert "LOGKEEP_PAN123" in found
    assert set(found) <= {*values, "LOGKEEP_PAN123", "download.total_timeout"}
    assert all((where + what).isprintable() and SECRET not in what for where, what in found.items())


def test_settings_models_hide_their_input_even_from_pydantic_itself() -> None:
    with pytest.raises(ValidationError) as caught:
        Pan123Settings.model_validate({"name": "main", "client_id": 5, "client_secret": [SECRET]})
    assert SECRET not in str(caught.value)
    with pytest.raises(ValidationError) as caught:
        Settings(pan123=[{"client_secret": SECRET}])
    assert SECRET not in str(caught.value)
