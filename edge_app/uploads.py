"""Judges uploaded pictures and tensors: the one core behind every HTTP dialect."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from edge_app import errand
from edge_app.crew import Crew
from edge_app.door import Door, Ticket
from edge_app.engines import Engines, LoadedModel
from edge_app.inference.budget import Deadline, Stopwatch, TooLate
from edge_app.inference.decode import BadImage, Decoded, decode_reduced
from edge_app.inference.interpreter import ModelFailed
from edge_app.inference.judge import Code
from edge_app.inference.tensor import Array
from edge_app.latency import Latency
from edge_app.records.archive import Archive
from edge_app.records.ids import Ids
from edge_app.records.inspection import Inspection
from edge_app.records.recorder import Recorder
from edge_app.rows import fit_rows
from edge_app.sniff import megapixels
from edge_app.trim import trimmer
from edge_app.upload import WAITING, Judged, Upload

COMMIT_SHARE = 0.1
"""Share of the budget that an answer may wait until its record outlives the program."""

LARGE_MEGAPIXELS = 4.0
"""Larger pictures, and those whose size is not told quickly, are worked on one after the other:
one may take 320 MB, and the crew's together would take more than the app may have."""

Watch = Callable[[Inspection], None]
"""Is told of every upload that was taken in, once, as it was answered."""


class NoAnswer(TooLate):
    """The upload was taken in, but there was no answer by its deadline.

    Args:
        inspection: As it was recorded: no decision, code 23.
    """

    def __init__(self, inspection: Inspection) -> None:
        super().__init__(inspection.reason)
        self.inspection = inspection


class Uploads:
    """Takes what clients send through admission, decoding, model, verdict and record.

    Args:
        engines: The models.
        door: Admission.
        crew: Who does the work.
        ids: Inspection ids.
        recorder: Where inspections go.
        archive: Where pictures go.
        max_bytes: Largest picture file.
        max_pixels: Largest picture.
    """

    def __init__(
        self,
        *,
        engines: Engines,
        door: Door,
        crew: Crew,
        ids: Ids,
        recorder: Recorder,
        archive: Archive,
        max_bytes: int,
        max_pixels: int,
    ) -> None:
        self.engines = engines
        self.door = door
        self.recorder = recorder
        self.archive = archive
        self.crew = crew
        self._ids = ids
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels
        self._large = threading.Lock()
        self._trim = trimmer()
        self.latency = Latency()
        self._watchers: tuple[Watch, ...] = ()

    def watch(self, *watchers: Watch) -> None:
        """Tell these of every inspection from now on."""
        self._watchers = watchers

    def look(self, deadline: Deadline, model: str = "") -> None:
        """Refuse early what has no chance, before its body is taken apart.

        Raises:
            Busy: It could not be answered in time.
        """
        loaded = self.engines.peek(model)
        if loaded is not None:
            self.door.look(loaded.name, deadline)

    def judge_image(
        self, content: bytes, deadline: Deadline, *, model: str = "", part: str = ""
    ) -> Judged:
        """Judge a picture, answer by the deadline.

        Raises:
            Busy: It could not be answered in time.
            NoAnswer: It was not.
            BadImage: The bytes are no picture.
            UnknownModel: There is no such model.
            ModelFailed: The runtime gave up.
        """
        loaded = self.engines.get(model, deadline)
        if loaded.engine.spec.contract is None:
            raise BadImage(f"model {loaded.name} takes tensors, not pictures", 415)
        size = megapixels(content)
        if size * 1e6 > self._max_pixels:
            # Not the door's business: no later try of it would do better.
            most = self._max_pixels / 1e6
            raise BadImage(f"picture has {size:.1f} megapixels; at most {most:.1f} are taken", 413)
        ticket = self.door.enter(loaded.name, deadline, size)
        upload = Upload(self._ids.next(), content, deadline, loaded, part, errand.current())
        judged = self._judged(upload, ticket)
        image = self._image_of(upload, judged.inspection)
        inspection = replace(judged.inspection, total_ms=deadline.used_ms(), image=image)
        committed = self._tell(inspection)
        committed.wait(min(deadline.left_s(), deadline.budget_ms / 1000 * COMMIT_SHARE))
        kept = committed.is_set() and not self.recorder.failing
        return replace(judged, inspection=inspection, committed=kept)

    def run_tensors(
        self,
        tensors: Mapping[str, Array],
        deadline: Deadline,
        *,
        model: str = "",
        raw: Collection[str] = (),
    ) -> dict[str, NDArray[np.float32]]:
        """Run a model on numbers, several rows at once where it can be widened.

        Args:
            tensors: Real values by input name, with or without the batch's dimension.
            deadline: When an answer is of no use any more.
            model: Which; empty for the default one.
            raw: Inputs that come in the model's own integers.

        Returns:
            Real values by output name, the batch first.

        Raises:
            BadTensor: The numbers don't fit the model.
            Busy, TooLate, UnknownModel, ModelFailed: As for pictures.
        """
        loaded = self.engines.get(model, deadline)
        rows = fit_rows(loaded.engine.inputs, tensors, raw)
        ticket = self.door.enter(loaded.name, deadline, runs=len(rows))
        task = self.crew.do(lambda: self._run_rows(loaded, rows, deadline, ticket))
        outputs = task.result(deadline)
        if outputs is None or deadline.passed():
            raise TooLate(f"no answer within {deadline.budget_ms:.0f} ms")
        return outputs

    def warm(self) -> None:
        """Decode once for nothing: the first time, the decoders load their libraries."""
        small = io.BytesIO()
        Pillow.new("RGB", (16, 16)).save(small, "JPEG")
        self._decode(small.getvalue(), lambda _width, _height: 1.0)

    def _judged(self, upload: Upload, ticket: Ticket) -> Judged:
        """The work's outcome by the deadline; every other end is recorded here."""
        task = self.crew.do(
            lambda: self._work(upload, ticket),
            late=lambda judged: self._record_late(upload, judged),
        )
        try:
            judged = task.result(upload.deadline, give_up=lambda: self._expire(upload))
        except ModelFailed as error:
            self._record(upload, upload.failed(error))
            raise
        except TooLate:
            self._expire(upload)
            raise NoAnswer(upload.expired()) from None
        if judged is not None and not upload.deadline.passed():
            return judged
        if judged is not None:
            self._expire(upload)
            self._record_late(upload, judged)
        raise NoAnswer(upload.expired())

    def _work(self, upload: Upload, ticket: Ticket) -> Judged:
        failed = False
        try:
            with self._place_for(upload):
                return upload.work(self._decode)
        except ModelFailed:
            failed = True
            raise
        finally:
            laps_ms = upload.stopwatch.laps_ms
            done = "invoke" in laps_ms
            work_ms = sum(ms for lap, ms in laps_ms.items() if lap not in (*WAITING, "decode"))
            self.door.leave(
                ticket,
                work_ms=work_ms if done else 0.0,
                decode_ms=laps_ms.get("decode", 0.0),
                failed=failed,
            )

    @contextmanager
    def _place_for(self, upload: Upload) -> Iterator[None]:
        """Memory for a picture.

        Raises:
            TooLate: Another large one had it until the deadline.
        """
        if 0 < megapixels(upload.content) <= LARGE_MEGAPIXELS:
            yield
            return
        if not self._large.acquire(timeout=upload.deadline.left_s()):
            raise TooLate("another large picture was still being looked at at the deadline")
        try:
            yield
        finally:
            self._trim()
            self._large.release()

    def _run_rows(
        self,
        loaded: LoadedModel,
        rows: list[dict[str, Array]],
        deadline: Deadline,
        ticket: Ticket,
    ) -> dict[str, NDArray[np.float32]]:
        failed, stopwatch = False, Stopwatch()
        try:
            answers = loaded.engine.run_rows(rows, deadline=deadline, stopwatch=stopwatch)
            return {name: np.concatenate([a[name] for a in answers]) for name in answers[0]}
        except ModelFailed:
            failed = True
            raise
        finally:
            work_ms = stopwatch.laps_ms.get("invoke", 0.0)
            self.door.leave(ticket, work_ms=work_ms, failed=failed)

    def _decode(self, content: bytes, room: Callable[[int, int], float]) -> Decoded:
        return decode_reduced(content, room, max_bytes=self._max_bytes, max_pixels=self._max_pixels)

    def _record(self, upload: Upload, inspection: Inspection) -> threading.Event:
        inspection = replace(inspection, image=self._image_of(upload, inspection))
        if inspection.code is Code.DEADLINE:
            upload.told = inspection
        return self._tell(inspection)

    def _image_of(self, upload: Upload, inspection: Inspection) -> str:
        """Keep the picture if it is wanted; its name, or nothing."""
        if not self.archive.wants(inspection.decision):
            return ""
        # Kept as it came: what the model saw can be looked at again, bit for bit.
        return self.archive.add(upload.id, lambda: upload.content)

    def _tell(self, inspection: Inspection) -> threading.Event:
        self.latency.add(inspection)
        for watcher in self._watchers:
            watcher(inspection)
        return self.recorder.add(inspection)

    def _expire(self, upload: Upload) -> None:
        self._record(upload, upload.expired())

    def _record_late(self, upload: Upload, judged: Judged) -> None:
        self.recorder.add(upload.late(judged.inspection))
