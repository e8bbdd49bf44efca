"""Files that appear whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uraniborg.errors import UserError

__all__ = ["atomic", "writing"]


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which takes its name when the block ends well.

    The temporary file is removed when the block raises, so that `path` is either the old file or
    the complete new one. Missing parent folders are created.

    Args:
        path: The file to write.

    Raises:
        UserError: The disk is full or the folder cannot be written to.

    Example:
        >>> with atomic("table.csv") as temporary:
        ...     temporary.write_text("a,b")
    """

    path = Path(path)
    # The suffix is kept last because some writers choose the format by it.
    temporary = path.with_name(f".{os.getpid()}.partial.{path.name}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            # Some writers make files that only their owner can read; the umask decides instead.
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turns errors of the disk within the block into errors that a user can act on.

    Args:
        path: The file that is written, as the message shall name it.

    Raises:
        UserError: The disk is full or the folder cannot be written to.
    """

    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{path}: the disk is full; free some space and run again.") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise UserError(
                f"{path}: cannot be written; check the folder's permissions."
            ) from error
        raise
