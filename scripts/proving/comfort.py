"""What the person at the terminal may count on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
from benchmarks.figures import Part

from proving.accuracy import CIFAR, CIFAR_IMAGES
from proving.shop import CALM, Shop

PRESSED_AFTER_S = (1.0, 2.0, 3.0, 4.0, 4.5, 5.0, 5.5, 6.0)
WITHOUT_TENSORFLOW = (
    "import sys; sys.modules['tensorflow'] = None; sys.modules['keras'] = None; "
    "from edge_app.cli import main; sys.exit(main(sys.argv[1:]))"
)


def run(shop: Shop) -> Part:
    """Ctrl-C at several moments, `--json`, inspect without TensorFlow, a closed folder."""
    part = Part("comfort", "At the terminal", "CIFAR-10's ResNet-8, with a report.")
    _interrupted(part, shop)
    _json_and_inspect(part, shop)
    ended = shop.convert("closed", CIFAR, "--images", CIFAR_IMAGES, "-o", "/proc/closed.tflite")
    part.check(
        "A folder that takes no file is refused before any work",
        ended.sentence,
        ended.status == 3 and "can be written" in ended.sentence,
    )
    return part


def _interrupted(part: Part, shop: Shop) -> None:
    # Programs that were put into the background inherit that the signal is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ends = [_press(shop, seconds) for seconds in PRESSED_AFTER_S]
    wrong = [said for _, said in ends if said]
    in_time = sum(status == 130 for status, _ in ends)
    part.check(
        "Ctrl-C ends with 130 and leaves no file, scratch folder, process or traceback; when all "
        "is done it comes too late: 0 and all files",
        "; ".join(wrong) or f"{len(ends)} moments, {in_time} of them in time",
        not wrong and in_time > 0,
    )


def _press(shop: Shop, seconds: float) -> tuple[int, str]:
    """Interrupt a conversion as a terminal does, its whole group; status, and what is wrong."""
    folder, scratch = shop.fresh("interrupted"), shop.fresh("scratch")
    given = ("--images", CIFAR_IMAGES, "--report", folder / "x.html")
    given += ("--log", shop.folder / "x.log", "-o", folder / "x.tflite")
    process = subprocess.Popen(
        shop.command("x", CIFAR, *given),
        env=CALM | {"TMPDIR": str(scratch)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    status = process.returncode
    left = sorted(path.suffix for path in folder.iterdir())
    whole = {130: [], 0: [".html", ".json", ".tflite"]}.get(status)
    clear = not any(scratch.iterdir()) and not _alive(process.pid) and "Traceback" not in said
    if left == whole and clear:
        return status, ""
    return status, f"after {seconds} s: status {status}, left {left}, {said[-200:]!r}"


def _alive(group: int) -> bool:
    """Whether one of its processes still is there after a moment; one that ended is not."""
    for _ in range(50):
        states = [_state(p) for p in psutil.process_iter() if _group(p) == group]
        if all(state == psutil.STATUS_ZOMBIE for state in states):
            return False
        time.sleep(0.1)
    return True


def _group(process: psutil.Process) -> int:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return 0


def _state(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return psutil.STATUS_ZOMBIE


def _json_and_inspect(part: Part, shop: Shop) -> None:
    ended = shop.convert("plain", CIFAR, "--images", CIFAR_IMAGES, "--compare", 200)
    part.check(
        "`--json` prints the figures and nothing else",
        f"{len(ended.figures)} entries, {len(json.dumps(ended.figures)):,} bytes",
        ended.status == 0 and ended.figures["written"],
    )
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, "models", "inspect", str(ended.output)],
        capture_output=True,
        text=True,
        check=False,
        env=CALM,
    )
    facts = ("airplane", "int8", ended.figures["model_sha256"][:12], "golden")
    missing = [fact for fact in facts if fact not in done.stdout]
    part.check(
        "`lineside models inspect` shows the file without TensorFlow",
        f"{len(done.stdout.splitlines())} lines" + (f"; missing: {missing}" if missing else ""),
        done.returncode == 0 and not missing,
    )
