"""What the model says of each photo by itself, in one runtime; a child process.

A part's truth for the soak is the verdict on which all runtimes agree, with the model and
the limits that the line uses. Arguments: model file, folder of photos, runtime.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from edge_app.inference.bundle import read_bundle
from edge_app.inference.decode import decode_image
from edge_app.inference.engine import Engine
from edge_app.inference.interpreter import installed_runtimes
from edge_app.inference.judge import judge


def references(model: Path, photos: Path) -> dict[str, str]:
    """Verdict by file name, for those photos on whose verdict all runtimes agree.

    Raises:
        subprocess.CalledProcessError: A runtime could not run the model.
    """
    agreed: dict[str, str] = {}
    for number, runtime in enumerate(installed_runtimes()):
        command = [sys.executable, "-m", "benchmarks.soak.reference", str(model), str(photos)]
        done = subprocess.run([*command, runtime], capture_output=True, text=True, check=True)
        said: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
        agreed = said if number == 0 else {k: v for k, v in agreed.items() if said.get(k) == v}
    return agreed


def main(model: str, photos: str, runtime: str) -> None:
    """The child's part."""
    engine = Engine(read_bundle(Path(model)), runtime)
    said = {}
    for path in sorted(Path(photos).glob("*.jpg")):
        prediction = engine.predict(decode_image(path.read_bytes()))
        said[path.name] = str(judge(prediction, engine.spec.limits).decision)
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
