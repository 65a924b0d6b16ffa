"""What the person at the terminal may count on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

from benchmarks.figures import Part

from proving.accuracy import CIFAR, CIFAR_IMAGES
from proving.shop import CALM, Shop

PRESSED_AFTER_S = (0.5, 2.0, 4.0, 5.0, 6.0, 7.0)
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
    """Signal the whole group, as a terminal does."""
    # Programs that were put into the background inherit that the signal is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wrong = []
    for seconds in PRESSED_AFTER_S:
        folder = shop.fresh("interrupted")
        given = ("--images", CIFAR_IMAGES, "--report", folder / "x.html")
        given += ("--log", shop.folder / "x.log", "-o", folder / "x.tflite")
        process = subprocess.Popen(
            shop.command("x", CIFAR, *given),
            env=CALM | {"TMPDIR": str(shop.fresh("scratch"))},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)
        status = process.wait(timeout=30)
        left = [p.name for p in (*folder.iterdir(), *(shop.folder / "scratch").iterdir())]
        if status != 130 or left or _alive(process.pid):
            wrong.append(f"after {seconds} s: status {status}, left {left}")
    part.check(
        "Ctrl-C ends with 130 and leaves no file, scratch folder or process",
        "; ".join(wrong) or f"after {', '.join(map(str, PRESSED_AFTER_S))} s: so",
        not wrong,
    )


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


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
