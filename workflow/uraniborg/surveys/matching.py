"""Which of the user's files belong to a survey, and to which of its shards.

This module runs while the workflow is set up, so it imports nothing heavy.
"""

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path

from uraniborg.errors import UserError
from uraniborg.surveys.registry import Survey

__all__ = ["files_of", "matching_files", "part_of"]


def matching_files(patterns: Sequence[str], data_root: str | Path) -> dict[str, Path]:
    """The user's files, sorted, by their path below `data_root`.

    Args:
        patterns: Patterns relative to `data_root`; `**` stands for any folders.
        data_root: Where the patterns start.

    Raises:
        UserError: No file matches.
    """

    names: set[str] = set()
    for pattern in patterns:
        # Unlike `Path.glob`, this follows links to folders, where large data often are.
        names.update(glob.glob(pattern, root_dir=data_root, recursive=True))  # noqa: PTH207
    files = {name: Path(data_root, name) for name in sorted(names)}
    files = {name: path for name, path in files.items() if path.is_file()}
    if not files:
        raise UserError(
            f"no file matches {' or '.join(patterns)} in {data_root}; "
            "set `data_root` in the configuration, or `files: patterns` of the survey."
        )
    return files


def files_of(
    survey: Survey, shard: int, downloads: Sequence[str | Path], data_root: str | Path
) -> dict[str, Path]:
    """The files of one shard of a real survey, by the names that the quarantine table calls them.

    Args:
        survey: The survey.
        shard: Number of the shard.
        downloads: Its files if its source is `archive`.
        data_root: Where its patterns start if its files are the user's.

    Raises:
        UserError: No file matches.
    """

    if survey.source == "archive":
        files = {Path(path).name: Path(path) for path in downloads}
    else:
        files = matching_files(survey.patterns, data_root)
    return part_of(files, shard, survey.shards)


def part_of(files: Mapping[str, Path], shard: int, shards: int) -> dict[str, Path]:
    """The files of one shard.

    Files of the same name, compressed or not, are in the same shard, where copies of a spectrum
    are noticed.

    Args:
        files: All files of the survey.
        shard: Number of the shard.
        shards: Number of shards.
    """

    plain = {name: path.name.removesuffix(".gz") for name, path in files.items()}
    here = set(sorted(set(plain.values()))[shard::shards])
    return {name: path for name, path in files.items() if plain[name] in here}
