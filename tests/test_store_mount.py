"""Which file system a path lies on, from the kernel's own table."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeep.store.mount import Mount, is_network, mount_of, network_file_system_at, parse_mountinfo

TABLE = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,discard - ext4 /dev/vda rw
40 27 0:45 / /mnt/logs rw,relatime shared:1 master:2 - nfs4 server:/export rw,vers=4.2
41 40 0:46 / /mnt/logs/local rw - xfs /dev/vdb rw
42 27 0:47 / /mnt/two\040words rw - cifs //server/share rw
43 27 0:48 / /mnt/tab\011line\012back\134slash rw - fuse.sshfs user@host: rw
44 27 0:49 / /mnt/covered rw - nfs server:/export rw
45 44 0:50 / /mnt/covered rw - ext4 /dev/vdc rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib/logkeep", "ext4"),
        ("/mnt/logs", "nfs4"),
        ("/mnt/logs/a/b", "nfs4"),
        ("/mnt/logsx", "ext4"),
        ("/mnt/logs/local/a", "xfs"),
        ("/mnt/two words/a", "cifs"),
        ("/mnt/tab\tline\nback\\slash", "fuse.sshfs"),
        ("/mnt/covered/a", "ext4"),
    ],
)
def test_the_deepest_and_last_mount_counts(path: str, kind: str) -> None:
    mount = mount_of(PurePosixPath(path), parse_mountinfo(TABLE))
    assert mount is not None
    assert mount.kind == kind


def test_optional_fields_may_be_many_or_none() -> None:
    assert parse_mountinfo("1 2 0:1 / /a rw - nfs s:/ rw\n1 2 0:1 / /b rw x:1 y:2 z - cifs //s rw") == [
        Mount(PurePosixPath("/a"), "nfs"),
        Mount(PurePosixPath("/b"), "cifs"),
    ]


@given(st.text("0123456789 -:/\\abc\n", max_size=200))
def test_lines_of_another_shape_are_passed_over(text: str) -> None:
    assert all(mount.kind and mount.point.is_absolute() for mount in parse_mountinfo(text))


def test_without_a_table_nothing_is_known(tmp_path: Path) -> None:
    assert mount_of(PurePosixPath("/a"), []) is None
    assert network_file_system_at(tmp_path, tmp_path / "no mountinfo") is None


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs"]
)
def test_what_another_machine_serves_is_a_network_file_system(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "fuse.mergerfs", "fuse", ""]
)
def test_what_this_machine_serves_is_not(kind: str) -> None:
    assert not is_network(kind)


def test_a_path_is_looked_up_where_its_symlinks_lead(tmp_path: Path) -> None:
    served = tmp_path / "served place"
    served.mkdir()
    (tmp_path / "link").symlink_to(served)
    table = tmp_path / "mountinfo"
    point = str(served).replace(" ", "\\040")
    table.write_text(f"27 1 254:0 / / rw - ext4 /dev/vda rw\n40 27 0:45 / {point} rw - nfs4 server:/export rw\n")
    assert network_file_system_at(tmp_path / "link", table) == "nfs4"
    assert network_file_system_at(tmp_path, table) is None


def test_this_machines_own_table_is_readable() -> None:
    assert network_file_system_at(Path("/proc")) is None
