"""Names on disk: injective, contained, short, readable back, for any text at all."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logkeep.files.naming import (
    VERSION_MAX,
    archive_path,
    id_token,
    parse_path,
    quarantine_name,
    temp_name,
)
from logkeep.model import Hour

HOUR = Hour.parse("2025062015")
SAFE_COMPONENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=-]*", re.ASCII)

# st.text() leaves lone surrogates out; JSON from a vendor may hold them
any_text = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=40),
    st.text("0129abAB_-./v\\%\0\n é\u0301\u202e\ud800", max_size=40),
    st.text("ab2-.v_", min_size=90, max_size=120),
    st.integers(0, 99).map(str),
)
hours = st.one_of(st.none(), st.integers(0, Hour.parse("2199123123").index).map(Hour))
versions = st.one_of(st.integers(1, 12), st.integers(1, VERSION_MAX))
keys = st.tuples(hours, any_text, versions)


def fold(path: str) -> str:
    """The path as the least careful file system compares it."""
    return unicodedata.normalize("NFKC", path).casefold()


def near_twins(text: str) -> set[str]:
    """Texts that a careless scheme, or a file system, would take for ``text``."""
    return {
        text,
        text.upper(),
        text.lower(),
        text.swapcase(),
        text.strip(),
        text + ".v2",
        text + "-",
        text + ".v2-x",
        "_e" + text,
        "_d" + text,
        id_token(text),
        text.replace("/", "_"),
        text.replace("_", "__"),
        unicodedata.normalize("NFC", text),
        unicodedata.normalize("NFD", text),
        unicodedata.normalize("NFKC", text),
    }


@pytest.mark.parametrize(
    ("hour", "file_id", "version", "name", "path"),
    [
        (HOUR, "12", 1, "202506201516.gz", "pan123/main/date=2025-06-20/hour=15/12-202506201516.gz"),
        (HOUR, "12", 2, "202506201516.gz", "pan123/main/date=2025-06-20/hour=15/12.v2-202506201516.gz"),
        (HOUR, "12", 1, "202506201516.log.gz", "pan123/main/date=2025-06-20/hour=15/12-202506201516.log.gz"),
        (None, "7", 1, "x.gz", "pan123/main/hour=unknown/7-x.gz"),
        (Hour.parse("2025062000"), "a_1", 1, "2025062000~01.gz",
         "pan123/main/date=2025-06-20/hour=00/a_1-2025062000_01.gz"),
    ],
)  # fmt: skip
def test_a_well_behaved_row_gets_the_documented_path(
    hour: Hour | None, file_id: str, version: int, name: str, path: str
) -> None:
    assert archive_path("pan123", "main", hour, file_id, version, name) == path


@pytest.mark.parametrize("account", ["main", "Main", "hq-2", "my_account", "cn.east"])
def test_an_account_that_the_settings_allow_names_its_folder_verbatim(account: str) -> None:
    assert archive_path("pan123", account, HOUR, "1", 1, "x.gz").split("/")[1] == account


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("", "unnamed", id="empty"),
        pytest.param(".gz", "unnamed.gz", id="only a suffix"),
        pytest.param("\n\n\n", "_", id="newlines"),
        pytest.param("../../etc/passwd", ".._.._etc_passwd", id="climbing"),
        pytest.param("a/b\0c\u202egz.exe.gz", "a_b_c_gz.exe.gz", id="slash, NUL and bidi"),
        pytest.param("日志 2025.LOG.GZ", "_2025.LOG.GZ", id="Chinese and capitals"),
        pytest.param("dots...", "dots", id="trailing dots"),
        pytest.param("x" * 1_000_000 + ".log.gz", "x" * 73 + ".log.gz", id="a megabyte"),
    ],
)
def test_a_hostile_name_keeps_what_is_safe_to_show(name: str, shown: str) -> None:
    assert archive_path("pan123", "main", HOUR, "1", 1, name).split("/")[-1] == f"1-{shown}"


@given(any_text, any_text, hours, any_text, versions, any_text)
@example("..", ".logkeep", None, "../" * 400_000, 1, "/" * 1_000_000)
@example("", "", None, "", 1, "")
def test_any_text_stays_inside_its_folder(
    vendor: str, account: str, hour: Hour | None, file_id: str, version: int, name: str
) -> None:
    """Two folders for whose it is, one or two for when, one file; each component plain, short, visible."""
    parts = archive_path(vendor, account, hour, file_id, version, name).split("/")
    assert len(parts) == (4 if hour is None else 5)
    for part in parts:
        assert SAFE_COMPONENT.fullmatch(part)
        assert len(part.encode()) <= 200


@given(keys, keys, any_text, any_text)
def test_different_files_never_share_a_path(
    one: tuple[Hour | None, str, int], other: tuple[Hour | None, str, int], name: str, other_name: str
) -> None:
    """Not even on a file system that folds case and normalises Unicode, whatever the vendor's names are."""
    if one != other:
        assert fold(archive_path("pan123", "main", *one, name)) != fold(
            archive_path("pan123", "main", *other, other_name)
        )


@given(any_text, st.lists(versions, min_size=1, max_size=3, unique=True), any_text)
@example("ab", [1, 2], "v2-x.gz")
@example("12.v2", [1, 2], "x.gz")
@example("é", [1], "x.gz")
@example("x" * 65, [1], "x.gz")
@example("X" * 1_000_000, [1], "x.gz")
def test_ids_that_look_alike_stay_apart(file_id: str, marks: list[int], name: str) -> None:
    """Case twins, normalisation twins, ids that spell another id's version, its escape or its token."""
    twins = [(twin, version) for twin in near_twins(file_id) for version in marks]
    paths = {fold(archive_path("pan123", "main", HOUR, twin, version, name)) for twin, version in twins}
    assert len(paths) == len(twins)


@given(any_text, any_text, hours, any_text, versions, any_text)
def test_a_path_reads_back_as_what_it_was_built_from(
    vendor: str, account: str, hour: Hour | None, file_id: str, version: int, name: str
) -> None:
    parsed = parse_path(archive_path(vendor, account, hour, file_id, version, name))
    assert (parsed.hour, parsed.id_token, parsed.version) == (hour, id_token(file_id), version)
    assert parsed.file_id in {file_id, None}
    assert parsed.vendor == vendor or parsed.vendor.startswith("_d")
    assert parsed.account == account or parsed.account.startswith("_d")
    if len(file_id.encode("utf-8", "surrogatepass")) <= 32:
        assert parsed.file_id == file_id


@given(any_text, any_text)
def test_accounts_never_share_a_folder(one: str, other: str) -> None:
    """Exactly; that two differ in more than case is asked of the settings."""
    if one != other:
        assert archive_path("pan123", one, None, "1", 1, "") != archive_path("pan123", other, None, "1", 1, "")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "pan123/main/12-x.gz",
        "pan123/main/date=2025-06-20/hour=15/12.gz",
        "pan123/main/date=2025-06-20/hour=15/12.v1-x.gz",
        "pan123/main/date=2025-06-20/hour=15/12.v02-x.gz",
        "pan123/main/date=2025-06-20/hour=15/AB-x.gz",
        "pan123/main/date=2025-06-20/hour=15/_e12-x.gz",
        "pan123/main/date=2025-06-20/hour=15/_e_ff-x.gz",
        "pan123/main/date=2025-06-20/hour=15/_x-x.gz",
        "pan123/main/date=2025-13-20/hour=15/12-x.gz",
        "pan123/main/date=2025-06-20/hour=24/12-x.gz",
        "pan123/main/date=\uff12\uff10\uff12\uff15-06-20/hour=15/12-x.gz",
        "pan123/main/hour=unknown/12-x.gz\n",
        "pan123/../hour=unknown/12-x.gz",
        "/pan123/main/hour=unknown/12-x.gz",
    ],
)
def test_a_path_that_was_never_built_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_path(path)


@pytest.mark.parametrize("version", [0, -1, VERSION_MAX + 1])
def test_a_version_out_of_bounds_is_refused(version: int) -> None:
    with pytest.raises(ValueError, match="version"):
        archive_path("pan123", "main", HOUR, "12", version, "x.gz")


quadruples = st.tuples(any_text, any_text, any_text, any_text)


@given(quadruples, quadruples)
@example(("pan123", "a", "12", "n"), ("pan123", "b", "12", "n"))
@example(("pan123", "a-b", "12", "n"), ("pan123-a", "b", "12", "n"))
@example(("", "", "AB", ""), ("", "", "ab", ""))
def test_temporary_and_quarantine_names_are_plain_short_and_distinct(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    for name_of in (temp_name, quarantine_name):
        name = name_of(*one)
        assert SAFE_COMPONENT.fullmatch(name)
        assert len(name) <= 200
        assert name_of(*one) == name
        assert one == other or fold(name_of(*other)) != fold(name)
