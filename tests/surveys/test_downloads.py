"""Downloads from a server on this machine that misbehaves in every way that servers do."""

import errno
import gzip
import hashlib
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from astropy.io import fits

from uraniborg.errors import UserError
from uraniborg.surveys import downloads
from uraniborg.surveys.downloads import Patience, download, mirrored
from uraniborg.surveys.registry import load_archives, load_surveys

ARCHIVE = "https://data.sdss.org/sas/dr16/sdss/spectro/redux/26/spectra/lite/0266/"
NAME = "spec-0266-51602-0001.fits"
QUICK = Patience(attempts=4, backoff=0.01, connect=2, read=0.3)


@dataclass
class Server:
    """Serves `files` by path. `moods`, one per request, say how; fine when they are used up."""

    url: str = ""
    files: dict = field(default_factory=dict)
    moods: list = field(default_factory=list)
    requests: list = field(default_factory=list)


@pytest.fixture
def server():
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            asked = self.headers.get("Range")
            state.requests.append((self.path, asked))
            mood = state.moods.pop(0) if state.moods else "fine"
            body = state.files.get(self.path)
            if isinstance(mood, int) or body is None:
                self.send_error(mood if isinstance(mood, int) else 404)
                return
            start = int(asked.split("=")[1].rstrip("-")) if asked and mood != "no ranges" else 0
            if start >= len(body):
                self.send_error(416)
                return
            part = body[start:]
            self.send_response(206 if start else 200)
            if start:
                told = 0 if mood == "other range" else start
                self.send_header("Content-Range", f"bytes {told}-{len(body) - 1}/{len(body)}")
            if mood != "no length":
                self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if mood == "slow":
                self.wfile.write(part[:1000])
                self.wfile.flush()
                time.sleep(0.6)
            elif mood in ("truncated", "no length"):
                self.wfile.write(part[: len(part) // 2])
            else:
                self.wfile.write(part)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_port}/"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def content(tmp_path):
    """Bytes of a FITS file."""
    path = tmp_path / "source.fits"
    noise = np.random.default_rng(1).normal(size=20_000).astype(np.float32)
    fits.PrimaryHDU(noise).writeto(path)
    return path.read_bytes()


@pytest.fixture
def fetch(server, content, tmp_path):
    """Serves the content under the archive's own path and downloads it through a mirror."""
    path = f"/sas/dr16/sdss/spectro/redux/26/spectra/lite/0266/{NAME}"
    server.files[path] = content
    target = tmp_path / "archive" / NAME

    known = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}

    def fetch(**changes):
        mirrors = {"https://data.sdss.org/": server.url}
        download(ARCHIVE + NAME, target, **{**known, **changes}, mirrors=mirrors, patience=QUICK)
        return target

    fetch.target = target
    fetch.part = target.with_name(f"{NAME}.part")
    fetch.path = path
    return fetch


def test_a_good_server_gives_the_file(server, fetch, content):
    assert fetch().read_bytes() == content
    assert server.requests == [(fetch.path, None)]
    assert list(fetch.target.parent.iterdir()) == [fetch.target]


def test_404_is_final_and_names_url_and_remedy(server, fetch):
    server.files.clear()
    with pytest.raises(UserError) as error:
        fetch()
    assert f"{server.url}sas/dr16" in str(error.value)
    assert "answered 404" in str(error.value)
    assert "resources/archives.tsv" in str(error.value)
    assert "mirror" in str(error.value)
    assert len(server.requests) == 1
    assert not fetch.target.exists()


@pytest.mark.parametrize("code", [500, 503, 429])
def test_server_errors_are_tried_again(server, fetch, content, code):
    server.moods = [code, code]
    assert fetch().read_bytes() == content
    assert len(server.requests) == 3


def test_tries_are_bounded(server, fetch):
    server.moods = [503] * 20
    with pytest.raises(UserError, match="the server answered 503 after 4 tries; run again later"):
        fetch()
    assert len(server.requests) == QUICK.attempts


def test_waits_grow(server, fetch, monkeypatch):
    waits = []
    monkeypatch.setattr(downloads.time, "sleep", waits.append)
    server.moods = [503, 503, 503]
    fetch()
    assert waits == [0.01, 0.02, 0.04]


@pytest.mark.parametrize("mood", ["truncated", "no length"])
def test_a_truncated_answer_is_resumed(server, fetch, content, mood):
    server.moods = [mood]
    assert fetch().read_bytes() == content
    assert [asked for _, asked in server.requests] == [None, f"bytes={len(content) // 2}-"]


def test_a_slow_server_is_left_and_asked_again(server, fetch, content):
    server.moods = ["slow"]
    assert fetch().read_bytes() == content
    assert [asked for _, asked in server.requests][1] == "bytes=1000-"


def test_a_server_that_stays_slow_is_named(server, fetch):
    server.moods = ["slow"] * 9
    with pytest.raises(UserError, match="no answer in time after 4 tries"):
        fetch()


def test_an_interrupted_download_goes_on_in_the_next_run(server, fetch, content):
    fetch.part.parent.mkdir()
    fetch.part.write_bytes(content[:5000])
    assert fetch().read_bytes() == content
    assert server.requests == [(fetch.path, "bytes=5000-")]


def test_a_finished_part_needs_no_server(server, fetch, content):
    fetch.part.parent.mkdir()
    fetch.part.write_bytes(content)
    assert fetch().read_bytes() == content
    assert server.requests == []


@pytest.mark.parametrize("mood", ["no ranges", "other range"])
def test_a_server_without_ranges_starts_anew(server, fetch, content, mood):
    server.moods = ["truncated", mood]
    assert fetch().read_bytes() == content


def test_a_part_longer_than_the_file_starts_anew(server, fetch, content):
    fetch.part.parent.mkdir()
    fetch.part.write_bytes(content + b"more")
    assert fetch().read_bytes() == content


def test_a_wrong_checksum_deletes_the_file_and_names_url_and_remedy(server, fetch):
    with pytest.raises(UserError) as error:
        fetch(sha256="0" * 64)
    assert f"{server.url}sas/dr16" in str(error.value)
    assert "resources/archives.tsv" in str(error.value)
    assert list(fetch.target.parent.iterdir()) == []


def test_a_damaged_part_does_not_spoil_the_run_after_next(server, fetch, content):
    fetch.part.parent.mkdir()
    fetch.part.write_bytes(b"x" * 5000)
    with pytest.raises(UserError, match="checksum"):
        fetch()
    assert fetch().read_bytes() == content


def test_a_server_that_is_not_there_is_named(fetch, server, tmp_path):
    with pytest.raises(UserError, match="after 4 tries"):
        download("http://127.0.0.1:9/a.fits", tmp_path / "a", "0" * 64, patience=QUICK)


def test_an_unknown_size_is_no_obstacle(server, fetch, content):
    assert fetch(size=None).read_bytes() == content


def test_a_full_disk_is_named(fetch, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads, "_fetch", full)
    with pytest.raises(UserError, match=f"{NAME}: the disk is full"):
        fetch()


@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_mirror_may_be_a_folder_of_plain_or_compressed_files(tmp_path, content, scheme, packed):
    folder = tmp_path / "my mirror"
    folder.mkdir()
    stored = gzip.compress(content) if packed else content
    (folder / (f"{NAME}.gz" if packed else NAME)).write_bytes(stored)
    prefix = f"{scheme}{folder}".replace(" ", "%20" if scheme else " ")
    sha256 = hashlib.sha256(content).hexdigest()
    target = tmp_path / "out.fits"
    download(ARCHIVE + NAME, target, sha256, len(content), {ARCHIVE: prefix})
    assert target.read_bytes() == content


def test_what_a_mirror_lacks_is_named(tmp_path):
    with pytest.raises(UserError) as error:
        download(ARCHIVE + NAME, tmp_path / "a", "0" * 64, mirrors={ARCHIVE: str(tmp_path)})
    assert f"{tmp_path}/{NAME}: there is no such file, nor {NAME}.gz" in str(error.value)
    assert "mirror" in str(error.value)


def test_a_damaged_mirror_is_named(tmp_path, content):
    (tmp_path / f"{NAME}.gz").write_bytes(gzip.compress(content)[:1000])
    with pytest.raises(UserError, match=rf"{NAME}\.gz: is truncated or damaged"):
        download(ARCHIVE + NAME, tmp_path / "a", "0" * 64, mirrors={ARCHIVE: str(tmp_path)})
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "a.part").exists()


def test_the_longest_mirror_wins():
    mirrors = {"https://a.org/": "/one", "https://a.org/sas/": "https://b.org/copy/"}
    assert mirrored("https://a.org/sas/x.fits", mirrors) == "https://b.org/copy/x.fits"
    assert mirrored("https://a.org/y/x.fits", mirrors) == "/one/y/x.fits"
    assert mirrored("https://c.org/x.fits", mirrors) == "https://c.org/x.fits"


def test_real_spectra_come_from_the_archives_own_paths(root, shared_data, server, tmp_path):
    """A server with copies of real spectra in place of the archive, which is out of reach."""
    archives = load_archives(root / "resources/archives.tsv")
    wanted = load_surveys(root / "config/surveys")["sdss_archive"].archives
    copies = {}
    for path in (shared_data / "sdss_spectra").rglob("*.fits.gz"):
        plain = gzip.decompress(path.read_bytes())
        copies[hashlib.sha256(plain).hexdigest()] = plain
    for name in wanted:
        archive = archives[name]
        server.files[archive.url.removeprefix("https://data.sdss.org")] = copies[archive.sha256]
    server.moods = [503, "truncated", "fine", "slow", "truncated", "no ranges"]
    for name in wanted:
        archive = archives[name]
        mirrors = {"https://data.sdss.org/": server.url}
        download(archive.url, tmp_path / name, archive.sha256, archive.bytes, mirrors, QUICK)
        with fits.open(tmp_path / name) as file:
            row = file[2].data[0]
        identifier = f"spec-{row['PLATE']:04d}-{row['MJD']}-{row['FIBERID']:04d}.fits"
        assert identifier == name
