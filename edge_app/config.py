"""Every setting: name, type, default and why; settings_file.py reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

EXIT_CONFIG = 78
"""sysexits.h EX_CONFIG: systemd does not restart a program that says so."""


class ConfigError(Exception):
    """A setting is unknown, of the wrong type or out of range; one sentence naming it.

    Args:
        sentence: For a person.
        place: The table and the key at fault, as far as they are known.
    """

    def __init__(self, sentence: str, place: tuple[str, str] = ("", "")) -> None:
        super().__init__(sentence)
        self.place = place


def setting(
    default: Any,
    why: str,
    *,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """A field with its reason and its range, from which docs/settings.md is made."""
    metadata = {"why": why, "low": low, "high": high}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Where everything that must outlive a restart is kept."""

    dir: str = setting("./lineside-data", "Models, jobs, records and pictures live below it.")
    socket_dir: str = setting(
        "",
        "Control sockets, and where it lies in memory (tmpfs) the journals of records that are not "
        "committed yet; empty: the folder `run` below `dir`. Under systemd /run/lineside.",
    )
    images_max_mb: int = setting(
        2000, "Pictures kept at most; the oldest inspections' go first.", low=1, high=10_000_000
    )
    images_min_free_mb: int = setting(
        500,
        "When less of the disk is free, the oldest pictures go; when none is left to go, no "
        "new one is kept. The last of the disk belongs to the records.",
        low=0,
        high=10_000_000,
    )
    images_max_days: int = setting(
        0,
        "Days for which pictures are kept, counted are those on which the device ran; 0: as "
        "long as there is room.",
        low=0,
        high=3660,
    )
    images_day_mb: int = setting(
        10_000,
        "Pictures written in a day, for the life of the card; then those of OK parts are no "
        "longer kept. 0: no bound.",
        low=0,
        high=10_000_000,
    )
    images_day_max_mb: int = setting(
        20_000,
        "Pictures written in a day; then none is kept any more, with warning 50. 0: no bound.",
        low=0,
        high=10_000_000,
    )
    card_endurance_tb: float = setting(
        0,
        "Terabytes that card or disk may be written in its life (TBW on its data sheet): the "
        "page then tells how many years that is. 0: not known.",
        low=0,
        high=1_000_000,
    )
    keep_ok_one_in: int = setting(
        10,
        "One in N pictures of OK parts is kept (0: none); all others always.",
        low=0,
        high=1_000_000,
    )
    records_max_rows: int = setting(
        1_000_000,
        "Records kept, 0.4 to 1 kB each; the oldest go, with their reviews. 0: no bound.",
        low=0,
        high=100_000_000,
    )
    sync_within_ms: float = setting(
        1000,
        "How long a record may wait for the disk after its answer: what a power cut can cost. "
        "No program's death costs any. 0: each answer waits for the disk, some milliseconds.",
        low=0,
        high=60_000,
    )


@dataclass(frozen=True, slots=True)
class AppSettings:
    """The web app: people, HMIs and uploads."""

    host: str = setting("127.0.0.1", "Address to listen on; 0.0.0.0 lets the LAN in.")
    port: int = setting(8080, "Port to listen on.", low=1, high=65535)
    threads: int = setting(
        16,
        "Uploads that may wait for their answer at once; pages have threads of their own.",
        low=2,
        high=64,
    )
    deadline_ms: float = setting(
        200, "Budget of an upload from the arrival of its last byte.", low=1, high=60_000
    )
    deadline_max_ms: float = setting(
        10_000, "Longest deadline that `X-Deadline-Ms` may ask for.", low=1, high=600_000
    )
    max_body_mb: int = setting(
        16, "Largest request body; larger ones are refused while they arrive.", low=1, high=1024
    )
    max_megapixels: float = setting(
        40, "Largest picture, read from its header before it is decoded.", low=0.01, high=200
    )
    open_access: Literal["none", "read", "predict", "operate", "all"] = setting(
        "predict",
        "What everybody may do without a login: nothing, look, judge pictures too, operate "
        "the lines too, or everything.",
    )
    session_hours: float = setting(12, "How long a login lasts.", low=0.1, high=1000)
    hosts: str = setting(
        "",
        "Further names of this device, comma-separated, e.g. `vision.example.com`. Addresses, "
        "names without a dot and local ones (`.local`, `.lan`) are always taken.",
    )
    cors_origins: str = setting(
        "", "Origins whose pages may use the API, comma-separated, e.g. `https://mes.example`."
    )
    frame_ancestors: str = setting(
        "", "Origins that may show pages of this device in a frame, comma-separated."
    )
    rate_limit_hz: float = setting(
        200,
        "Requests a second from one address, except this device's own; 0: no bound.",
        low=0,
        high=100_000,
    )
    trusted_proxy: str = setting(
        "", "Address of a reverse proxy whose X-Forwarded headers are believed; empty: none."
    )


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """How models are run."""

    model: str = setting(
        "", "Model of the app's `/predict`; empty: the model of the first camera's job."
    )
    runtime: Literal["", "litert", "tflite-runtime"] = setting(
        "", "Pins the runtime; empty: what was measured to be fastest here."
    )
    threads: int = setting(
        0, "Pins the threads of one invoke; 0: what was measured.", low=0, high=64
    )
    models_max_mb: int = setting(
        256,
        "Memory for the app's models; the ones unused for longest go. The default one stays.",
        low=1,
        high=65_536,
    )


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """One camera and the line behind it: one `lineside-camera` process."""

    source: str = setting(
        "pattern:",
        "Where frames come from: `folder:PATH`, `pattern:`, `v4l2:/dev/v4l/by-id/...`, "
        "`rtsp://...`, `http://...`, `file:PATH`, `aravis:ADDRESS`, `picamera:`.",
    )
    credentials: str = setting(
        "",
        "Secret with the camera's `user:password`, so that `source` has none: the name of a file "
        "in /etc/lineside/credentials (without systemd: a path).",
    )
    job: int = setting(1, "Job that is loaded at the start.", low=1, high=999)
    preload: str = setting(
        "",
        "Further jobs kept warm, so that switching takes no time: numbers, e.g. `2,3`; at most 8.",
    )
    free_run_hz: float = setting(
        0, "Parts inspected per second without any trigger; 0: only triggers.", low=0, high=100
    )
    deadline_ms: float = setting(200, "Budget of a part from its trigger.", low=1, high=10_000)
    realtime: bool = setting(
        True,
        "Run before every ordinary program on the machine (real-time priority), where the system "
        "allows it; a line that fires itself never does.",
    )
    max_frame_age_ms: float = setting(
        500, "An older frame is stale: no decision, code 32.", low=1, high=60_000
    )
    frozen_s: float = setting(
        10,
        "A live picture that stays the same, bit for bit, for so long is a frozen camera's: "
        "code 32. 0: never, for a video stream that sends still scenes without any noise.",
        low=0,
        high=3600,
    )
    frame_rate_hz: float = setting(
        0, "Rate asked of the camera, or of a drawn or stored source; 0: its own.", low=0, high=500
    )
    width_px: int = setting(0, "Width asked of the camera; 0: its own.", low=0, high=20_000)
    height_px: int = setting(0, "Height asked of the camera; 0: its own.", low=0, high=20_000)
    rotation: Literal[0, 90, 180, 270] = setting(0, "Degrees by which pictures are turned.")
    roi: str = setting(
        "",
        "Part of the camera's picture that is used at all: `x,y,width,height`; empty: all of it.",
    )
    pixel_format: str = setting(
        "", "Pixel format asked of the camera: FourCC (V4L2) or GenICam's name; empty: its own."
    )
    exposure: Literal["free", "triggered"] = setting(
        "free",
        "Whether an industrial camera (aravis:) runs freely or exposes at each trigger.",
    )
    latency_ms: float = setting(
        -1,
        "From the exposure to the frame's arrival where the source does not tell; a frame counts "
        "as exposed that much earlier. -1: what is usual (RTSP 100, HTTP and GigE 50, else 0).",
        low=-1,
        high=10_000,
    )
    read_timeout_ms: float = setting(
        2000, "A stream that gives nothing for so long is lost.", low=100, high=60_000
    )
    ffmpeg_options: str = setting(
        "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay|probesize;5000|analyzeduration;0",
        "What FFmpeg is told for RTSP. These keep a stream from running a second behind; a "
        "camera that does not open with them may need a larger probesize.",
    )
    isolated: bool = setting(
        True,
        "Call camera drivers that may hang in a process of their own, which can be killed; "
        "false saves 60 MB and a copy of each frame.",
    )
    exposure_us: float = setting(
        0, "Exposure time asked of the camera; 0: its own.", low=0, high=10_000_000
    )
    gain: float = setting(-1, "Gain asked of the camera; -1: its own.", low=-1, high=1000)
    plc: Literal["off", "read", "control"] = setting(
        "control", "What the PLC port allows: nothing, reading, or triggers and jobs too."
    )
    plc_host: str = setting("127.0.0.1", "Address of the PLC port; 0.0.0.0 lets the LAN in.")
    plc_port: int = setting(8090, "Port of the PLC listener.", low=1, high=65535)
    plc_allow: str = setting(
        "", "Addresses or networks that may use the PLC port, comma-separated; empty: all."
    )
    modbus: Literal["off", "read", "control"] = setting(
        "off", "What the Modbus TCP port allows: nothing, reading, or the whole handshake."
    )
    modbus_host: str = setting(
        "127.0.0.1", "IPv4 address of the Modbus port; 0.0.0.0 lets the LAN in."
    )
    modbus_port: int = setting(
        1502, "Port of the Modbus listener; the usual 502 needs a privilege.", low=1, high=65535
    )
    modbus_allow: str = setting(
        "", "Addresses or networks that may use the Modbus port, comma-separated; empty: all."
    )
    gpio_chip: str = setting(
        "", "GPIO chip by path or label, e.g. `pinctrl-rp1`; empty: no pins are used."
    )
    gpio_trigger: str = setting("", "Line, by name or number, whose rising edge is a trigger.")
    gpio_ok: str = setting("", "Line that is 1 for `gpio_pulse_ms` after an OK part, else 0.")
    gpio_no_reject: str = setting(
        "", "Line that is 0 from a part that was not OK until the next OK one, and without power."
    )
    gpio_ready: str = setting("", "Line that is 1 while a trigger would be taken.")
    gpio_debounce_ms: float = setting(
        5, "Edges of the trigger that are closer than this are one.", low=0, high=1000
    )
    gpio_pulse_ms: float = setting(
        50, "How long the OK line stays 1; the next trigger ends it.", low=1, high=60_000
    )
    replay_window_s: float = setting(
        2, "For this long the same trigger number gets the stored answer.", low=0, high=3600
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of all programs; each program uses its own tables."""

    data: DataSettings = field(default_factory=DataSettings)
    app: AppSettings = field(default_factory=AppSettings)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    cameras: dict[str, CameraSettings] = field(default_factory=dict)

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return Path(self.data.dir)

    @property
    def socket_dir(self) -> Path:
        """Where the cameras' control sockets are."""
        return Path(self.data.socket_dir) if self.data.socket_dir else self.data_dir / "run"

    def camera(self, name: str) -> CameraSettings:
        """One camera's settings.

        Raises:
            ConfigError: There is no such camera.
        """
        if name not in self.cameras:
            known = ", ".join(self.cameras) or "none"
            raise ConfigError(f"no [cameras.{name}] in the settings; there are: {known}")
        return self.cameras[name]
