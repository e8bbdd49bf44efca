"""Downloads that are whole and checked, or do not exist.

Bytes gather in `<file>.part`, from which an interrupted download goes on; the file takes its name
when its checksum is right.
"""

import gzip
import hashlib
import shutil
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
import urllib3

from uraniborg.errors import UserError
from uraniborg.files import writing
from uraniborg.progress import Progress

__all__ = ["Patience", "download", "mirrored"]

_CHUNK = 1 << 18


@dataclass(frozen=True)
class Patience:
    """How long to try.

    Args:
        attempts: Tries in all.
        backoff: Seconds before the second try; each further wait is twice as long.
        connect: Seconds in which a server must answer.
        read: Seconds in which it must send something.
    """

    attempts: int = 5
    backoff: float = 2.0
    connect: float = 20.0
    read: float = 60.0


class _TransientError(Exception):
    """Something that may go better next time."""


def mirrored(url: str, mirrors: Mapping[str, str]) -> str:
    """The URL or path that a configured mirror puts in place of a URL.

    Args:
        url: Where the file is published.
        mirrors: Beginnings of URLs and their replacements; the longest that fits is used.

    Example:
        >>> mirrored("https://data.sdss.org/sas/dr16/a.fits", {"https://data.sdss.org/": "/data"})
        '/data/sas/dr16/a.fits'
    """

    fitting = [prefix for prefix in mirrors if url.startswith(prefix)]
    if not fitting:
        return url
    prefix = max(fitting, key=len)
    return f"{mirrors[prefix].rstrip('/')}/{url.removeprefix(prefix).lstrip('/')}"


def download(
    url: str,
    destination: str | Path,
    sha256: str,
    size: int | None = None,
    mirrors: Mapping[str, str] | None = None,
    patience: Patience = Patience(),
) -> None:
    """Fetches a file from its publisher or a mirror and checks it.

    Server errors, broken connections and truncated answers are tried again, going on from what is
    there; other answers, such as 404, are final.

    Args:
        url: `https://`, `http://` or `file://`.
        destination: File to write.
        sha256: Checksum that the file must have.
        size: Its size in bytes, if known.
        mirrors: See `mirrored`. In a folder, `<file>.gz` is accepted in place of the file.
        patience: How long to try.

    Raises:
        UserError: The file cannot be had, or has another checksum; a wrong file is deleted.

    Example:
        >>> download(archive.url, "spec-0266-51602-0001.fits", archive.sha256, archive.bytes)
    """

    destination = Path(destination)
    source = mirrored(url, mirrors or {})
    part = destination.with_name(f"{destination.name}.part")
    with writing(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        if urlsplit(source).scheme in ("http", "https"):
            _fetch_patiently(source, part, size, patience)
        else:
            _copy(source, part)
        found = _sha256(part)
        if found != sha256:
            part.unlink()
            raise UserError(
                f"{source}: has checksum {found[:12]}..., expected {sha256[:12]}...; it was "
                "deleted. Run again; if that does not help, the file has changed: compare it with "
                "resources/archives.tsv."
            )
        part.replace(destination)


def _copy(source: str, part: Path) -> None:
    """A local file, decompressed if only `<file>.gz` is there."""

    path = Path(unquote(urlsplit(source).path) if source.startswith("file:") else source)
    compressed = path.with_name(f"{path.name}.gz")
    if path.is_file():
        shutil.copyfile(path, part)
    elif compressed.is_file():
        try:
            with gzip.open(compressed) as packed, part.open("wb") as plain:
                shutil.copyfileobj(packed, plain)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            part.unlink(missing_ok=True)
            raise UserError(f"{compressed}: is truncated or damaged; fetch it again.") from error
    else:
        raise UserError(
            f"{path}: there is no such file, nor {compressed.name}; add it or change `mirror`."
        )


def _fetch_patiently(url: str, part: Path, size: int | None, patience: Patience) -> None:
    for attempt in range(patience.attempts):
        if attempt:
            time.sleep(patience.backoff * 2 ** (attempt - 1))
        try:
            _fetch(url, part, size, patience)
            return
        except _TransientError as error:
            print(f"{url}: {error} (try {attempt + 1} of {patience.attempts})")
            last = error
    raise UserError(
        f"{url}: {last} after {patience.attempts} tries; run again later, it goes on from the "
        "bytes that are there, or set `mirror` in the configuration."
    )


def _fetch(url: str, part: Path, size: int | None, patience: Patience) -> None:
    """One try, which goes on from the bytes in `part` if the server can."""

    here = part.stat().st_size if part.exists() else 0
    if size is not None and here == size:
        return
    headers = {"Accept-Encoding": "identity"}
    if here:
        headers["Range"] = f"bytes={here}-"
    timeout = (patience.connect, patience.read)
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
            _check_status(url, answer, part)
            resumes = answer.status_code == requests.codes.partial_content
            if resumes and not _starts_at(answer, here):
                part.unlink()
                raise _TransientError("the server sent another range than asked for")
            # A server that ignores ranges sends the whole file: it replaces what is there.
            total = size or here + int(answer.headers.get("Content-Length", 0))
            with (
                part.open("ab" if resumes else "wb") as file,
                Progress(total, part.stem, "bytes", here if resumes else 0) as progress,
            ):
                # Takes what has come, so that a broken connection costs none of it.
                while chunk := answer.raw.read1(_CHUNK):
                    file.write(chunk)
                    progress.advance(len(chunk))
    except (requests.Timeout, urllib3.exceptions.ReadTimeoutError) as error:
        raise _TransientError("no answer in time") from error
    except (requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
        raise _TransientError(_cause(error)) from error
    except requests.RequestException as error:
        raise UserError(f"{url}: {error}; check the URL or `mirror`.") from error
    _check_size(part, size)


def _cause(error: Exception) -> str:
    """What lies at the bottom of an error of the network, such as a host that has no address."""

    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return f"the connection failed ({str(error) or type(error).__name__})"


def _check_status(url: str, answer: requests.Response, part: Path) -> None:
    code = answer.status_code
    if code == requests.codes.requested_range_not_satisfiable:
        part.unlink()
        raise _TransientError("the server cannot go on from the bytes that are here")
    if code >= 500 or code in (requests.codes.request_timeout, requests.codes.too_many_requests):
        raise _TransientError(f"the server answered {code}")
    if code not in (requests.codes.ok, requests.codes.partial_content):
        raise UserError(
            f"{url}: the server answered {code} {answer.reason}; check the URL in "
            "resources/archives.tsv, or set `mirror` in the configuration."
        )


def _starts_at(answer: requests.Response, start: int) -> bool:
    return answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _check_size(part: Path, size: int | None) -> None:
    found = part.stat().st_size
    if size is not None and found < size:
        raise _TransientError(f"only {found} of {size} bytes came")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
