"""Send damaged copies of a good model file to a running app, activate what it takes, and look.

Run as a program: `damage_models.py N [SEED]`. Of ten copies seven are damaged as a disk or a
network would do it, two are damaged inside and sealed anew, so that only the golden set can
tell, and one is a file from elsewhere, which has neither checksum nor golden set: its checksum is
told beside it. Prints what became of them, and exits with a sentence if the app ended, or if one
was activated that answers differently.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "kit"))

from damage import damaged
from lone_app import LoneApp, lone_app

import edge_app
from edge_app.inference.bundle import pack_bundle, read_bundle
from edge_app.models import ModelStore

DEMO = Path(edge_app.__file__).parent / "demo"
PHOTOS = [path.read_bytes() for path in sorted((DEMO / "parts").glob("*.jpg"))[::2]]
NAME = "flange"
CLEAR = 0.2
"""A top label whose score leads by so much may not be another one afterwards."""

Answers = list[dict[str, float]]


class Trials:
    """A running app whose active model is good, and what was tried on it."""

    def __init__(self, app: LoneApp, random: np.random.Generator) -> None:
        self._app, self._random = app, random
        self._good = read_bundle(DEMO / "model.tflite")
        self._told = hashlib.sha256(self._good.flatbuffer).hexdigest()
        self.outcomes: Counter[str] = Counter()
        self.moved = 0.0
        self._answers = self._ask(PHOTOS)

    def one(self, number: int) -> None:
        """Send one copy; the active model must answer afterwards as before."""
        kind = ("sealed", "sealed", "foreign")[number % 10 - 7] if number % 10 > 6 else "damaged"
        told = f"&sha256={self._told}" if kind == "foreign" else ""
        status, document = self._send(f"/api/v1/models?name={NAME}{told}", self._copy(kind))
        became = "refused when added"
        if status == 201:
            became = self._activated(document["version"])
        if became == "activated":
            self._hold(self._ask(PHOTOS), f"copy {number}, {kind}, was activated and answers")
            assert self._send(f"/api/v1/models/{NAME}/versions/1/activate?measure=0")[0] == 200
        self.outcomes[f"{kind}: {became}"] += 1
        self._hold(self._ask(PHOTOS[:1]), f"after copy {number}, {kind}, the active model answers")

    def _copy(self, kind: str) -> bytes:
        whole = pack_bundle(self._good)
        if kind == "damaged":
            while (copy := damaged(whole, self._random)) == whole:
                pass
            return copy
        while (flatbuffer := damaged(self._good.flatbuffer, self._random)) == self._good.flatbuffer:
            pass
        return (
            flatbuffer
            if kind == "foreign"
            else pack_bundle(replace(self._good, flatbuffer=flatbuffer))
        )

    def _activated(self, version: int) -> str:
        if version == 1:
            return "not damaged at all"
        path = f"/api/v1/models/{NAME}/versions/{version}/activate?measure=0"
        return "activated" if self._send(path)[0] == 200 else "refused by its proof"

    def _send(self, path: str, content: bytes = b"") -> tuple[int, Any]:
        status, document = self._app.ask("POST", path, content)
        if status not in (200, 201):
            sentence = document["error"]["message"]
            if status not in (400, 409) or "\n" in sentence:
                sys.exit(f"{path} was answered {status}: {sentence}")
        return status, document

    def _ask(self, photos: list[bytes]) -> Answers:
        return [self._app.predict(photo)["class_scores"] for photo in photos]

    def _hold(self, answers: Answers, what: str) -> None:
        for scores, good in zip(answers, self._answers, strict=False):
            first, second = sorted(good.values(), reverse=True)[:2]
            self.moved = max(self.moved, *(abs(scores[label] - good[label]) for label in good))
            if first - second > CLEAR and max(scores, key=scores.__getitem__) != max(
                good, key=good.__getitem__
            ):
                sys.exit(f"{what} {scores} in place of {good}")


def main(count: int, seed: int = 1) -> None:
    """Damage so many copies."""
    with tempfile.TemporaryDirectory() as folder:
        store = ModelStore(Path(folder) / "models")
        store.add(DEMO / "model.tflite", NAME)
        store.activate(NAME, 1, measure=False)
        with lone_app(Path(folder), inference__model=NAME) as app:
            trials = Trials(app, np.random.default_rng(seed))
            for number in range(count):
                trials.one(number)
                if app.process.poll() is not None:
                    sys.exit(f"the app ended at copy {number}: {app.log[-2000:]}")
    for outcome, times in sorted(trials.outcomes.items()):
        sys.stdout.write(f"{times:6} {outcome}\n")
    sys.stdout.write(f"scores of activated ones moved by at most {trials.moved:.3f}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
