"""Files that appear whole or not at all."""

import errno
import os

import pytest

from uraniborg.errors import UserError
from uraniborg.files import atomic, writing


def test_the_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with atomic(path) as temporary:
        temporary.write_text("a,b")
        assert not path.exists()
    assert path.read_text() == "a,b"
    assert list(path.parent.iterdir()) == [path]


def test_the_old_file_stays_when_the_block_raises(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def interrupted(error):
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            interrupted(error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_name_keeps_the_suffix(tmp_path):
    with atomic(tmp_path / "figure.pdf") as temporary:
        assert temporary.suffix == ".pdf"
        temporary.touch()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, "check the folder's permissions"),
        (errno.EROFS, "check the folder's permissions"),
    ],
)
def test_errors_of_the_disk_name_file_and_remedy(tmp_path, code, message):
    path = tmp_path / "a.bin"
    for block in (atomic, writing):
        with pytest.raises(UserError, match=message) as error, block(path):
            raise OSError(code, "from the system")
        assert str(path) in str(error.value)


def test_other_errors_of_the_system_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "a"):
        raise FileNotFoundError(errno.ENOENT, "another file")


def test_a_folder_in_place_of_the_file_leaves_no_rest(tmp_path):
    path = tmp_path / "taken"
    path.mkdir()
    with pytest.raises(OSError), atomic(path) as temporary:  # noqa: PT011
        temporary.touch()
    assert list(tmp_path.iterdir()) == [path]


def test_the_umask_decides_who_may_read(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic(tmp_path / "shared.txt") as temporary:
            temporary.write_text("for the group")
            temporary.chmod(0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "shared.txt").stat().st_mode & 0o777 == 0o640
