"""Each kind of camera against something real: servers, files, processes, the simulated one."""

from __future__ import annotations

import base64
import ctypes.util
import http.server
import os
import re
import signal
import socket
import socketserver
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera.capture import Capture
from camera.sources import SourceLost, Tuning, make_bare_source, make_source
from camera.sources.cadence import Cadence
from camera.sources.isolated import IsolatedSource
from camera.sources.knock import no_industrial_camera, nobody_listens
from camera.sources.mjpeg import MjpegSource
from camera.sources.opencv import FileSource, StreamSource, V4l2Source
from camera.sources.pattern import draw_number, read_number
from camera.sources.picamera import PicameraSource
from edge_app.config import CameraSettings, ConfigError, Settings
from edge_app.records.archive import encode_jpeg
from edge_app.secret import redacted, split_credentials, with_credentials
from edge_app.settings_file import to_toml


class MjpegServer:
    """A network camera: pattern frames at 50 Hz, numbered, until it is frozen or closed."""

    def __init__(self, port: int = 0, *, lengths: bool = True, first: int = 1) -> None:
        self.number = first
        self.frozen = False
        self.authorization = ""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.authorization = self.headers.get("Authorization", "")
                if self.path == "/page":
                    self.send_response(200)
                    self.send_header("Content-Type", "text/html")
                    self.end_headers()
                    return
                self.send_response(200 if self.path == "/video" else 404)
                self.send_header("Content-Type", 'multipart/x-mixed-replace; boundary="--cut"')
                self.end_headers()
                while outer.open:
                    time.sleep(0.02)
                    if not outer.frozen:
                        self._part()

            def _part(self) -> None:
                outer.number += 1
                picture = encode_jpeg(draw_number(outer.number, 320, 240), 90)
                length = f"Content-Length: {len(picture)}\r\n" if lengths else ""
                head = f"--cut\r\nContent-Type: image/jpeg\r\n{length}\r\n"
                self.wfile.write(head.encode() + picture + b"\r\n")

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that hangs up is no news."""

        self.open = True
        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Hang up and close the port."""
        self.open = False
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    """A network camera."""
    made = MjpegServer()
    yield made
    made.close()


def mjpeg(port: int, path: str = "/video", **settings: Any) -> MjpegSource:
    """A source that looks at it."""
    values = {"read_timeout_ms": 500.0, "latency_ms": 0.0} | settings
    return MjpegSource(f"http://eve:s3cret@127.0.0.1:{port}{path}", **values)


def read_on(source: Any) -> None:
    """Some frames may be on their way still."""
    for _ in range(100):
        source.read()


@pytest.mark.parametrize("lengths", [True, False])
def test_mjpeg_frames_are_live_and_whole(lengths: bool) -> None:
    """With or without lengths, the pictures come in order; the password goes along."""
    camera = MjpegServer(lengths=lengths)
    source = mjpeg(camera.port)
    source.open()
    numbers = [read_number(source.read().pixels()) for _ in range(10)]
    source.close()
    camera.close()

    assert numbers == sorted(set(numbers))
    assert camera.number - numbers[-1] <= 2
    assert camera.authorization == "Basic ZXZlOnMzY3JldA=="


@pytest.mark.parametrize("path", ["/nothing", "/page"])
def test_what_is_no_stream_is_refused_without_the_password(server: MjpegServer, path: str) -> None:
    """The error names the camera, never its password."""
    source = mjpeg(server.port, path)
    with pytest.raises(SourceLost) as caught:
        source.open()
    source.close()

    assert "s3cret" not in str(caught.value)
    assert str(server.port) in str(caught.value)


def test_a_frozen_mjpeg_server_is_a_loss(server: MjpegServer) -> None:
    """Nothing for the length of the timeout, and the camera is lost."""
    source = mjpeg(server.port)
    source.open()
    source.read()
    server.frozen = True
    began = time.monotonic()
    with pytest.raises(SourceLost):
        read_on(source)
    source.close()

    assert time.monotonic() - began < 2


def test_a_restarted_camera_is_found_and_nothing_stale_is_given(
    server: MjpegServer, until: Callable[..., None]
) -> None:
    """Killed and started again: back within two seconds, and each frame is a new one."""
    capture = Capture(lambda: mjpeg(server.port), "cam1")
    capture.start()
    until(lambda: capture.state().state == "live")
    server.close()
    until(lambda: capture.state().state == "lost")
    assert capture.newest() is None
    again = MjpegServer(server.port, first=5000)
    began = time.monotonic()
    until(lambda: capture.newest() is not None)
    spent_s = time.monotonic() - began
    newest = capture.newest()
    capture.stop()
    again.close()

    assert spent_s < 2
    assert newest is not None
    assert read_number(newest.pixels()) > 5000


@given(st.lists(st.floats(0.038, 0.042), min_size=3, max_size=30))
def test_a_steady_stream_is_live(waits: list[float]) -> None:
    """Frames that come once a period are live, all of them."""
    cadence = Cadence(0.04)

    assert all(cadence.live(wait) for wait in waits)


def test_what_waited_in_a_buffer_is_not_live() -> None:
    """After opening and after a gap, frames are distrusted until one was really waited for."""
    cadence = Cadence(0.04)
    assert [cadence.live(wait) for wait in (0.001, 0.002, 0.03, 0.001)] == [
        False,
        False,
        True,
        True,
    ]
    assert [cadence.live(wait) for wait in (1.5, 0.001, 0.001, 0.04)] == [
        False,
        False,
        False,
        True,
    ]


@pytest.mark.failsafe(
    "frames of a stream are held up on their way",
    "the decision on the next frame that is new; code 30 when none comes in time",
    "0.9 of the deadline",
    "the part as it was decided, or NONE, code 30",
    "by itself",
)
def test_what_was_held_up_counts_as_older() -> None:
    """A frame that comes late, and those that waited behind it, may be as old as that."""
    cadence = Cadence(0.04)
    told = []
    for waited_s in (0.04, 0.04, 0.2, 0.001, 0.001, 0.04):
        assert cadence.live(waited_s)
        told.append(cadence.behind_s)

    assert told[:2] == [0.0, 0.0]
    assert [round(behind_s, 1) for behind_s in told[2:5]] == [0.2, 0.1, 0.1]
    for _ in range(30):
        cadence.live(0.04)
    assert cadence.behind_s < 0.005


def test_a_reader_that_was_away_knows_that_frames_waited() -> None:
    """What lay there when it came back is as old as it was away."""
    cadence = Cadence(0.04)
    for _ in range(3):
        cadence.live(0.04)
    assert cadence.live(0.001, apart_s=0.24)
    assert round(cadence.behind_s, 2) == 0.2


@given(
    st.lists(st.sampled_from([0.0, 0.02, 0.03, 0.05, 0.06, 0.08]), min_size=10, max_size=200),
    st.floats(0.02, 0.2),
)
def test_a_stream_that_stutters_never_grows_old(waits: list[float], period_s: float) -> None:
    """Frames in pairs, left out, or at another rate than told: a bounded delay, soon forgiven."""
    cadence = Cadence(period_s)
    for waited_s in waits:
        cadence.live(waited_s)
    for _ in range(80):
        cadence.live(0.04)

    assert cadence.behind_s < 0.005


def test_a_slow_stream_is_learnt() -> None:
    """A camera of one frame a second is live once its pace is known."""
    cadence = Cadence()

    assert [cadence.live(1.0) for _ in range(8)][-1]


def test_a_video_plays_at_its_pace_over_and_over(tmp_path: Path) -> None:
    """A file is a live camera; at its end it begins anew."""
    path = tmp_path / "parts.avi"
    writer = cv2.VideoWriter(
        str(path),
        cv2.VideoWriter_fourcc(*"MJPG"),  # type: ignore[attr-defined]  # missing in the stubs
        50,
        (320, 240),
    )
    for number in range(1, 11):
        writer.write(draw_number(number, 320, 240))
    writer.release()
    source = FileSource(str(path))
    source.open()
    began = time.monotonic()
    numbers = [read_number(source.read().pixels()) for _ in range(25)]
    spent_s = time.monotonic() - began
    source.close()

    assert numbers == [*range(1, 11), *range(1, 11), *range(1, 6)]
    assert spent_s > 0.4


@pytest.mark.parametrize(
    "source",
    [
        FileSource("/nowhere/parts.avi"),
        V4l2Source("/dev/v4l/by-id/nothing"),
        StreamSource(
            "rtsp://eve:s3cret@127.0.0.1:9/parts",
            options="rtsp_transport;tcp",
            read_timeout_ms=500,
            latency_ms=0,
        ),
        MjpegSource("http://eve:s3cret@127.0.0.1:9/", read_timeout_ms=500, latency_ms=0),
    ],
)
def test_what_is_not_there_is_a_loss(source: Any) -> None:
    """A sentence that names the camera without its password; closing twice is harmless."""
    with pytest.raises(SourceLost) as caught:
        source.open()
    source.close()
    source.close()

    assert "s3cret" not in str(caught.value)


def isolated(**settings: Any) -> IsolatedSource:
    """A source in a process of its own."""
    values: dict[str, Any] = {"source": "pattern:", "read_timeout_ms": 300.0} | settings
    made = CameraSettings(**values)
    return IsolatedSource(made, make_bare_source(made))


def test_an_isolated_camera_gives_the_same_frames() -> None:
    """Pixels, order and times come through; the process ends with its source."""
    source = isolated(width_px=1280, height_px=720, frame_rate_hz=50.0)
    source.open()
    frames = [source.read() for _ in range(10)]
    child = source._child
    source.close()

    assert [read_number(frame.pixels()) for frame in frames] == [f.seq for f in frames]
    assert all(0 <= frame.age_ms() < 5000 for frame in frames)
    assert frames[0].pixels().shape == (720, 1280, 3)
    assert child is not None
    assert child.returncode == 0


@pytest.mark.failsafe(
    "a camera driver hangs or crashes",
    "code 30",
    "the read timeout plus 1.5 s",
    "NONE, code 30",
    "its process is killed and started anew",
)
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_driver_that_hangs_or_dies_is_a_loss(number: signal.Signals) -> None:
    """A child that stands still is killed in two seconds; the next one gives frames again."""
    source = isolated()
    source.open()
    source.read()
    assert source._child is not None
    os.kill(source._child.pid, number)
    began = time.monotonic()
    with pytest.raises(SourceLost):
        read_on(source)
    source.close()
    assert time.monotonic() - began < 3
    source.open()
    assert source.read().seq >= 1
    source.close()


def test_the_child_tells_why() -> None:
    """What the driver said reaches the line."""
    source = isolated(source="v4l2:/dev/nothing")
    with pytest.raises(SourceLost, match="/dev/nothing"):
        source.open()
    source.close()


needs_aravis = pytest.mark.skipif(
    ctypes.util.find_library("aravis-0.8") is None,
    reason="libaravis-0.8-0 is not installed",
)


@needs_aravis
@pytest.mark.parametrize("exposure", ["free", "triggered"])
def test_the_simulated_industrial_camera(exposure: Any) -> None:
    """Aravis' camera in the library: frames in the size asked for, exposure set, by process."""
    settings = CameraSettings(
        source="aravis:Fake_1",
        exposure=exposure,
        width_px=256,
        height_px=128,
        pixel_format="Mono8",
        frame_rate_hz=50.0,
    )
    source = make_source(settings)
    assert isinstance(source, IsolatedSource)
    source.open()
    source.tune(Tuning(exposure_us=2000, gain=1))
    frames = [source.read() for _ in range(5)]
    source.close()

    assert source.on_demand == (exposure == "triggered")
    assert {frame.pixels().shape for frame in frames} == {(128, 256, 3)}
    assert [frame.seq for frame in frames] == [1, 2, 3, 4, 5]


@needs_aravis
def test_an_absent_industrial_camera_is_a_loss() -> None:
    """The library's own sentence reaches the line."""
    source = make_source(CameraSettings(source="aravis:Fake_77"))
    with pytest.raises(SourceLost, match="Fake_77"):
        source.open()
    source.close()


def test_without_picamera2_the_error_says_what_to_install() -> None:
    """Elsewhere than on Raspberry Pi OS."""
    if "picamera2" in sys.modules:
        pytest.skip("this is a Raspberry Pi")
    with pytest.raises(SourceLost, match="apt install python3-picamera2"):
        PicameraSource().open()


class FakePicamera:
    """What we use of Picamera2."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.released = 0

    def create_video_configuration(self, **settings: Any) -> dict[str, Any]:
        """As given."""
        return settings

    def configure(self, configuration: dict[str, Any]) -> None:
        """Keep the size."""
        self.size = configuration["main"]["size"]

    def start(self) -> None:
        """Nothing to do."""

    def capture_request(self) -> FakePicamera:
        """The camera is its own request."""
        return self

    def make_array(self, name: str) -> Any:
        """A picture."""
        assert name == "main"
        return np.zeros((self.size[1], self.size[0], 3), np.uint8)

    def get_metadata(self) -> dict[str, int]:
        """Exposed 20 ms ago, on the boot clock."""
        return {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 20_000_000}

    def release(self) -> None:
        """Count."""
        self.released += 1

    def stop(self) -> None:
        """Nothing to do."""

    close = stop


def test_the_pi_cameras_own_time_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame is as old as its sensor time says, and each request goes back."""
    module = types.SimpleNamespace(Picamera2=FakePicamera)
    monkeypatch.setitem(sys.modules, "picamera2", module)  # type: ignore[arg-type]  # what we use of it
    source = PicameraSource(width_px=320, height_px=240)
    source.open()
    frame = source.read()

    assert 20 <= frame.age_ms() < 200
    assert source._camera.released == 1
    source.close()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("webcam", "expected folder:PATH"),
        ("v4l2:", "lacks its address"),
        ("picamera:left", "picamera:NUMBER"),
        ("rtps://eve:s3cret@10.0.0.1/", "rtps"),
    ],
)
def test_unknown_sources_are_one_sentence(source: str, said: str) -> None:
    """A setting that can't be met names what is expected, and no password."""
    with pytest.raises(ConfigError, match=said) as caught:
        make_source(CameraSettings(source=source))
    assert "s3cret" not in str(caught.value)


@given(
    st.text("abcXYZ019-_.~", min_size=1),
    st.text("abcXYZ019-_.~%", min_size=8).filter(lambda text: "%" not in text),
)
def test_no_password_gets_into_a_log(user: str, password: str) -> None:
    """Whatever the credentials, the redacted address is without them."""
    url = f"rtsp://{user}:{password}@10.0.0.9:554/live?token={password}"

    assert password not in redacted(url)
    assert split_credentials(url)[1:] == (user, password)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_a_secret_in_a_file_comes_whole(
    tmp_path_factory: pytest.TempPathFactory, password: str
) -> None:
    """Any password in a credentials file reaches the camera as it is, colons and all."""
    folder = tmp_path_factory.mktemp("credentials")
    (folder / "lineside_cam1").write_text(f"eve:{password}\n", encoding="utf-8")
    handed = {"CREDENTIALS_DIRECTORY": str(folder)}

    url = with_credentials("rtsp://10.0.0.9:554/live?x=1", "cam1", handed)

    assert split_credentials(url) == ("rtsp://10.0.0.9:554/live?x=1", "eve", password)


def test_a_line_uses_the_secret_and_does_not_tell_it(server: MjpegServer, tmp_path: Path) -> None:
    """The camera gets user and password from the file; the settings that are shown have none."""
    secret = tmp_path / "secret"
    secret.write_text("eve:s3cret\n")
    settings = CameraSettings(
        source=f"http://127.0.0.1:{server.port}/video", credentials=str(secret)
    )

    source = make_source(settings)
    source.open()
    source.read()
    source.close()

    assert server.authorization == "Basic ZXZlOnMzY3JldA=="
    assert "s3cret" not in to_toml(Settings(cameras={"cam1": settings}))


def test_an_rtsp_camera_gets_the_secret_decoded(tmp_path: Path) -> None:
    """FFmpeg tells the camera the password as it stands in the file, not as in an address."""
    secret = tmp_path / "secret"
    secret.write_text("eve:p@s/s:w%rd\n")
    told: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as camera:
        thread = threading.Thread(target=_refuse_rtsp, args=(camera, told))
        thread.start()
        url = with_credentials(f"rtsp://127.0.0.1:{camera.getsockname()[1]}/live", str(secret))
        source = StreamSource(url, options="rtsp_transport;tcp", read_timeout_ms=1000, latency_ms=0)
        with pytest.raises(SourceLost) as caught:
            source.open()
        source.close()
        thread.join(10)

    assert base64.b64encode(b"eve:p@s/s:w%rd") in b"".join(told)
    assert "w%" not in str(caught.value)


def _refuse_rtsp(camera: socket.socket, told: list[bytes]) -> None:
    """A camera that wants a password and takes none; tells what it was sent."""
    camera.settimeout(5)
    connection, _ = camera.accept()
    with connection:
        connection.settimeout(2)
        while b"Authorization" not in b"".join(told):
            request = connection.recv(4096)
            if not request:
                return
            told.append(request)
            number = re.search(rb"CSeq: *([0-9]+)", request)
            connection.sendall(
                b"RTSP/1.0 401 Unauthorized\r\nCSeq: "
                + (number[1] if number else b"1")
                + b'\r\nWWW-Authenticate: Basic realm="camera"\r\n\r\n'
            )


@pytest.mark.parametrize(
    ("source", "text", "said"),
    [
        ("rtsp://10.0.0.9/", None, "can't read the secret"),
        ("rtsp://10.0.0.9/", "s3cret", "user:password"),
        ("rtsp://eve:s3cret@10.0.0.9/", "eve:s3cret", "without a user"),
        ("pattern:", "eve:s3cret", "rtsp://HOST/PATH"),
    ],
)
def test_a_secret_that_is_none_is_one_sentence(
    tmp_path: Path, source: str, text: str | None, said: str
) -> None:
    """What is wrong is said, and never what stands in the file."""
    secret = tmp_path / "secret"
    if text is not None:
        secret.write_text(text)

    with pytest.raises(ConfigError, match=said) as caught:
        make_source(CameraSettings(source=source, credentials=str(secret)))

    assert "s3cret" not in str(caught.value)


def test_a_named_secret_needs_systemd() -> None:
    """Where nothing was handed over, the sentence says who hands it over."""
    with pytest.raises(ConfigError, match="LoadCredential"):
        with_credentials("rtsp://10.0.0.9/", "cam1", {})


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_stream_that_nobody_serves_is_told_without_opening_it(scheme: str) -> None:
    """A port that takes no connection is named; one that does is no reason to wait."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"{scheme}://user:secret@127.0.0.1:{server.getsockname()[1]}/stream"
        assert nobody_listens(url) == ""

    said = nobody_listens(url)

    assert "127.0.0.1 can't be reached" in said
    assert "secret" not in said


def test_an_address_without_a_camera_is_told() -> None:
    """An industrial camera that does not answer is named; one known by name can't be asked."""
    assert "127.0.0.9 does not answer" in no_industrial_camera("127.0.0.9")
    assert no_industrial_camera("Fake_1") == ""
