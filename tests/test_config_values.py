"""Each kind of value: what it takes, what it refuses, and that refusing says what to write."""

import contextlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.config import Address, DaemonSettings, StorageSettings, WebSettings
from logkeep.config.addresses import is_private_host
from logkeep.config.values import (
    EnvironmentText,
    parse_absolute_path,
    parse_cron,
    parse_duration,
    parse_name,
    parse_real,
    parse_size,
    parse_whole,
)
from logkeep.config.wording import duration_text, one_line, show

from config_text import ACCOUNT, account_problems, load, problems, toml_value


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86400), ("0s", 0), ("48h", 172800)]
)
def test_duration_with_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", ["2", 2, 2.0, True, "", "2 h", "-2h", "2w", "1.5h", "h", "\u0662h", "2h\n", None, [], {}]
)
def test_duration_that_is_none(value: object) -> None:
    with pytest.raises(ValueError, match='write a number and a unit, such as "90s", "5m", "2h" or "1d"'):
        parse_duration(value)


@given(st.integers(min_value=0, max_value=10**9 - 1))
def test_durations_are_written_as_they_are_read(seconds: int) -> None:
    assert parse_duration(duration_text(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("value", "size_bytes"),
    [("1GiB", 2**30), ("512MiB", 2**29), ("4 KiB", 4096), ("16TiB", 2**44), ("7B", 7), ("12", 12), (12, 12), (0, 0)],
)
def test_size(value: object, size_bytes: int) -> None:
    assert parse_size(value) == size_bytes


@pytest.mark.parametrize("value", ["1GB", "1 gib", "-1GiB", "1.5GiB", 1.5, True, "", "GiB", None, [1]])
def test_size_that_is_none(value: object) -> None:
    with pytest.raises(ValueError, match="KiB, MiB, GiB or TiB"):
        parse_size(value)


@pytest.mark.parametrize("value", ["main", "a", "0", "A.b_c-d", "x" * 64])
def test_account_name(value: str) -> None:
    assert parse_name(value) == value


@pytest.mark.parametrize("value", ["", ".", "..", ".hidden", "-x", "a/b", "a b", "ä", "a\n", "x" * 65, "a\0", 5, None])
def test_account_name_that_could_leave_its_folder_or_hide(value: object) -> None:
    with pytest.raises(ValueError, match="write 1 to 64 of the characters"):
        parse_name(value)


@pytest.mark.parametrize(
    "line", ["5 * * * *", "*/10 1-3 * jan,feb mon-fri", "0 5 * * sun", "0  0 1 1 *", "0 0 29 2 *", "0 0 * * SAT"]
)
def test_cron_line(line: str) -> None:
    assert parse_cron(line) == " ".join(line.split())


@pytest.mark.parametrize("weekday", ["0", "7", "1-5", "mon,3", "*/2"])
def test_cron_line_with_a_digit_as_weekday(weekday: str) -> None:
    """APScheduler counts 0 as Monday, everybody else as Sunday: only names are safe."""
    with pytest.raises(ValueError, match="write the weekday by day names, mon-sun"):
        parse_cron(f"5 * * * {weekday}")


@pytest.mark.parametrize("line", ["", "@hourly", "5 * * *", "5 * * * * *", "\u0665 * * * *", 5, None])
def test_cron_line_without_five_fields(line: object) -> None:
    with pytest.raises(ValueError, match="write five fields"):
        parse_cron(line)


@pytest.mark.parametrize("line", ["60 * * * *", "* 24 * * *", "a * * * *", "*/0 * * * *", "0 0 * * sun-mon"])
def test_cron_line_out_of_range(line: str) -> None:
    with pytest.raises(ValueError, match="not a cron line that can be read"):
        parse_cron(line)


def test_cron_line_that_never_comes() -> None:
    """It would be a poll that never happens, found out when the vendor has deleted everything."""
    with pytest.raises(ValueError, match="never comes"):
        parse_cron("0 0 30 2 *")


@given(st.lists(st.sampled_from([*"0123456789*/-,?#LW ", "mon", "jan", "last", "1st fri"]), max_size=25).map("".join))
def test_cron_garbage_is_a_value_error_and_nothing_else(line: str) -> None:
    with contextlib.suppress(ValueError):
        assert len(parse_cron(line).split()) == 5


@pytest.mark.parametrize("value", [True, 1.0, "16", None, [], {}])
def test_whole_number_that_only_looks_like_one(value: object) -> None:
    with pytest.raises(ValueError, match="write a whole number, not "):
        parse_whole(value)


@pytest.mark.parametrize(("value", "number"), [(2, 2.0), (0.5, 0.5), (EnvironmentText("1.5"), 1.5)])
def test_number(value: object, number: float) -> None:
    assert parse_real(value) == number


@pytest.mark.parametrize("value", ["1.5", EnvironmentText("x"), EnvironmentText("nan"), 10**400, False, None])
def test_number_that_is_none(value: object) -> None:
    with pytest.raises(ValueError, match="write a number, not "):
        parse_real(value)


def test_path_with_half_a_character() -> None:
    """JSON can hold lone surrogates; no file name can."""
    with pytest.raises(ValueError, match=r"'/\\ud800' cannot be a path"):
        parse_absolute_path("/\ud800")


def test_date_where_a_path_should_be(tmp_path: Path) -> None:
    found = problems(tmp_path, f"storage.path = 2025-06-20\npan123 = [{toml_value(dict(ACCOUNT))}]")
    assert found == {"storage.path": "write a path in quotes, not a date or time"}


def test_sections_built_in_code_take_python_values(tmp_path: Path) -> None:
    assert StorageSettings(path=tmp_path).path == tmp_path
    assert DaemonSettings(drain=timedelta(seconds=0.2)).drain == timedelta(seconds=0.2)
    assert WebSettings(listen=Address("::1", 0), token_file=tmp_path).listen == Address("::1", 0)
    assert WebSettings(listen=None).listen is None


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:8480", "127.0.0.1", 8480), ("[::1]:80", "::1", 80), ("localhost:0", "localhost", 0)],
)
def test_listen_address(text: str, host: str, port: int, tmp_path: Path) -> None:
    listen = load(tmp_path, {"web": {"listen": text}, "pan123": [ACCOUNT]}).web.listen
    assert listen == Address(host, port)
    assert str(listen) == text


def test_listen_address_left_empty_is_off(tmp_path: Path) -> None:
    assert load(tmp_path, {"web": {"listen": ""}, "pan123": [ACCOUNT]}).web.listen is None


@pytest.mark.parametrize(
    "value", [":8480", "8480", 8480, "::1:80", "[127.0.0.1]:80", "h:65536", "h:", "h:x", "a b:1", "1.2:80", "[::1]"]
)
def test_listen_address_that_is_none(value: object, tmp_path: Path) -> None:
    found = problems(tmp_path, {"web": {"listen": value}, "pan123": [ACCOUNT]})
    assert list(found) == ["web.listen"]
    assert "write HOST:PORT" in found["web.listen"]


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://open-api.123pan.com", "https://open-api.123pan.com"),
        ("https://Open-API.123pan.com/", "https://open-api.123pan.com"),
        ("HTTPS://example.com:8443", "https://example.com:8443"),
        ("https://[2606:4700::1111]:8443/", "https://[2606:4700::1111]:8443"),
    ],
)
def test_base_url(text: str, origin: str, tmp_path: Path) -> None:
    settings = load(tmp_path, {"pan123": [{**ACCOUNT, "base_url": text}]})
    assert settings.pan123[0].base_url == origin


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https:///x",
            "https://a b",
            "https://a:x",
            "https://a:0",
        ),
        *(
            "https://a:99999",
            "https://2130706433",
            "https://0x7f.1",
            "https://127.1",
            "https://\u00e4",
            "https://[::1",
            5,
        ),
    ],
)
def test_base_url_that_is_no_address(value: object, tmp_path: Path) -> None:
    assert list(account_problems(tmp_path, base_url=value)) == ["pan123[0].base_url"]


@pytest.mark.parametrize("rest", ["/api", "/?a=b", "?a", "#x"])
def test_base_url_with_a_path(rest: str, tmp_path: Path) -> None:
    found = account_problems(tmp_path, base_url=f"https://example.com{rest}")
    assert "write https://HOST only" in found["pan123[0].base_url"]


def test_base_url_with_a_password_is_refused_without_showing_it(tmp_path: Path) -> None:
    found = account_problems(tmp_path, base_url="https://user:pass-word@example.com")
    assert "user name or a password" in found["pan123[0].base_url"]
    assert "pass-word" not in str(found)


def test_base_url_over_http_or_to_a_private_host_names_the_setting_that_allows_it(tmp_path: Path) -> None:
    what = account_problems(tmp_path, base_url="http://127.0.0.1:8080")["pan123[0].base_url"]
    assert "download.allow_http = true" in what
    assert "download.allow_private_addresses = true" in what


def test_base_url_over_http_to_a_private_host_where_both_are_allowed(tmp_path: Path) -> None:
    allowed = {"allow_http": True, "allow_private_addresses": True}
    account = {**ACCOUNT, "base_url": "http://127.0.0.1:8080"}
    assert load(tmp_path, {"download": allowed, "pan123": [account]}).pan123[0].base_url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1", "localhost", "x.localhost."],
)
def test_private_host(host: str) -> None:
    assert is_private_host(host)


@pytest.mark.parametrize("host", ["1.1.1.1", "2606:4700::1111", "example.com", "localhost.example.com"])
def test_public_host(host: str) -> None:
    assert not is_private_host(host)


def test_proxy_with_a_password_never_shows_it(tmp_path: Path) -> None:
    settings = load(tmp_path, {"http": {"proxy": "http://user:pass-word@proxy:3128"}, "pan123": [ACCOUNT]})
    assert settings.http.proxy is not None
    assert settings.http.proxy.get_secret_value() == "http://user:pass-word@proxy:3128"
    assert "pass-word" not in repr(settings)


def test_proxy_of_a_kind_that_cannot_be_used(tmp_path: Path) -> None:
    found = problems(tmp_path, {"http": {"proxy": "socks5://user:pass-word@proxy:1080"}, "pan123": [ACCOUNT]})
    assert list(found) == ["http.proxy"]
    assert "pass-word" not in str(found)


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("storage", "path", "logs", "write an absolute path"),
        ("storage", "path", "~/logs", "write an absolute path"),
        ("storage", "path", "", "write a path"),
        ("storage", "path", "/a\0b", "cannot be a path"),
        ("storage", "create", "yes", "write true or false, not 'yes'"),
        ("storage", "create", 1, "write true or false, not 1"),
        ("storage", "min_free", -1, "must be at least 0, not -1"),
        ("catalog", "url", "postgresql://u:pw-pw@h/db", "only SQLite is supported by this version"),
        ("catalog", "url", "sqlite:///relative.db", "four slashes"),
        ("catalog", "url", "sqlite:////a.db?mode=ro", "four slashes"),
        ("schedule", "timezone", "Mars/Olympus", "no time zone 'Mars/Olympus' on this machine"),
        ("schedule", "timezone", "Asia", "no time zone 'Asia' on this machine"),
        ("schedule", "timezone", "../../etc/passwd", "no time zone"),
        ("download", "concurrency", 0, "must be at least 1, not 0"),
        ("download", "concurrency", 5000, "must be at most 1024, not 5000"),
        ("download", "idle_timeout", "0s", "must be more than 0 seconds, not 0s"),
        ("log", "level", "loud", "write one of debug, info, warning, error, critical, not 'loud'"),
        ("log", "format", "xml", "write one of auto, json, console, not 'xml'"),
        ("alerts", "urls", ["https://hook/pw-pw"], "this version reports alerts in its log only; leave it empty"),
        ("alerts", "ping_url", "https://hook/pw-pw", "this version reports alerts in its log only; leave it empty"),
    ],
)
def test_value_that_is_refused(section: str, key: str, value: Any, words: str, tmp_path: Path) -> None:
    found = problems(tmp_path, {section: {key: value}, "pan123": [ACCOUNT]})
    assert list(found) == [f"{section}.{key}"]
    assert words in found[f"{section}.{key}"]
    assert "pw-pw" not in str(found)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("page_size", 0, "must be at least 1, not 0"),
        ("page_size", 1001, "must be at most 1000, not 1001"),
        ("page_size", "100", "write a whole number, not '100'"),
        ("requests_per_second", 0, "must be more than 0.0, not 0.0"),
        ("requests_per_second", float("nan"), "write a number, not nan"),
        ("requests_per_second", float("inf"), "write a number, not inf"),
        ("requests_per_second", True, "write a number, not true"),
        ("span_hours", 721, "must be at most 720, not 721"),
        ("settle", "8d", "must be at most 7 days, not 8d"),
        ("lookback", "31d", "must be at most 30 days, not 31d"),
        ("lookback", "1h", "1h is shorter than settle (2h)"),
        ("carrier", "pigeon", "write one of query, body, both, not 'pigeon'"),
        ("client_id", "", "is empty"),
        ("client_id", "a\nb", "control character"),
        ("sweep", "0 4 * * 0", "write the weekday by day names"),
    ],
)
def test_account_value_that_is_refused(key: str, value: object, words: str, tmp_path: Path) -> None:
    found = account_problems(tmp_path, **{key: value})
    assert list(found) == [f"pan123[0].{key}"]
    assert words in found[f"pan123[0].{key}"]


def test_settle_longer_than_the_default_lookback_is_told_at_lookback(tmp_path: Path) -> None:
    assert account_problems(tmp_path, settle="3d") == {
        "pan123[0].lookback": "2d is shorter than settle (3d); write at least that"
    }


def test_total_timeout_shorter_than_the_idle_one(tmp_path: Path) -> None:
    found = problems(tmp_path, {"download": {"idle_timeout": "7h"}, "pan123": [ACCOUNT]})
    assert found == {"download.total_timeout": "6h is shorter than idle_timeout (7h); write at least that"}


def test_number_too_long_to_print(tmp_path: Path) -> None:
    """TOML's hexadecimal numbers know no limit; Python refuses to print more than 4300 digits."""
    found = problems(tmp_path, f"download.max_file_size = 0x{'F' * 5000}\npan123 = [{toml_value(dict(ACCOUNT))}]")
    assert list(found) == ["download.max_file_size"]
    assert "not a huge number" in found["download.max_file_size"]


def test_catalog_on_another_disk(tmp_path: Path) -> None:
    catalog = load(tmp_path, {"catalog": {"url": "sqlite:////srv/catalog.db"}, "pan123": [ACCOUNT]}).catalog
    assert catalog.sqlite_path == Path("/srv/catalog.db")


def test_log_level_in_capitals(tmp_path: Path) -> None:
    assert load(tmp_path, {"log": {"level": "DEBUG"}, "pan123": [ACCOUNT]}).log.level == "debug"


@given(st.one_of(st.text(), st.integers(), st.floats(), st.lists(st.text()), st.dictionaries(st.text(), st.text())))
def test_shown_values_are_short_and_on_one_line(value: object) -> None:
    assert show(value).isprintable()
    assert len(show(value)) < 700


@given(st.text())
def test_one_line_holds_nothing_unprintable_and_keeps_what_is(text: str) -> None:
    assert one_line(text).isprintable()
    assert not text.isprintable() or one_line(text) == text


def test_contents_of_containers_are_never_shown() -> None:
    assert [show(["pw"]), show({"k": "pw"})] == ["a list", "a table"]
