"""The PLC's HTTP face: `/plc/...` on a port of its own. The contract is docs/plc.md."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from camera.keeper import Keeper
from camera.line import Line
from camera.plc.access import allowed, networks
from camera.plc.record import (
    NO_CLASS,
    PlcDecision,
    PlcRecord,
    Status,
    class_of,
    score_of,
)
from camera.request import Reply, Request
from camera.shot import MAX_NUMBER, MAX_PART_CHARS, Refused, Shot
from edge_app.inference.judge import Code, Decision
from edge_app.jobs import MAX_NUMBER as MAX_JOB
from edge_app.records.archive import encode_jpeg

FIRING = frozenset({"/plc/trigger", "/plc/job", "/plc/reset"})
"""Calls that do something."""

NO_RESULT = Status(0)
RESULTS = {
    Decision.OK: Status.RESULTS_VALID | Status.PASS,
    Decision.NG: Status.RESULTS_VALID | Status.FAIL,
    Decision.REVIEW: Status.RESULTS_VALID | Status.FAIL | Status.REVIEW,
    Decision.NONE: Status.RESULTS_VALID | Status.FAIL,
}

log = logging.getLogger(__name__)


class BadParameter(Exception):  # noqa: N818 - code 70 of the contract
    """A field is unknown or out of range; nothing is fired."""


def line_status(line: Line) -> Status:
    """The live bits of the status word, and the last result's."""
    return Status(_live_bits(line) | result_bits(line.station.last_answered()))


def _live_bits(line: Line) -> int:
    station = line.station
    bits = (
        (Status.HEARTBEAT, line.beat // 5 % 2),
        (Status.READY, station.ready),
        (Status.BUSY, station.busy),
        (Status.ONLINE, station.closed is None),
        (Status.JOB_LOADING, station.closed_by(Code.JOB_LOADING)),
        (Status.MISSED, station.missed_latch),
        (Status.COMPLETED, station.completed % 2),
        (Status.ERROR, line.capture.trouble or line.model_fault or line.loaded is None),
        (Status.WARNING, line.warning is not Code.FINE),
        (Status.COMMAND_FAILED, line.job_fault is not None),
    )
    # Added as numbers: putting flags together one by one takes ten times as long.
    return sum(bit for bit, is_set in bits if is_set)


def result_bits(shot: Shot | None) -> Status:
    """Results Valid with Pass or Fail: never both, and neither without a result."""
    if shot is None or shot.answer is None:
        return NO_RESULT
    return RESULTS[shot.answer.verdict.decision]


def shot_record(line: Line, shot: Shot | None) -> PlcRecord:
    """The record of a shot (decision 0 while it has no answer), with the live bits."""
    status = _live_bits(line)
    if shot is None:
        return PlcRecord(status=status, job=line.station.job, beat=line.beat)
    answer = shot.answer
    if answer is None:
        return PlcRecord(n=shot.n, id=shot.id, status=status, job=shot.job, beat=line.beat)
    return PlcRecord(
        n=shot.n,
        id=shot.id,
        job=shot.job,
        beat=line.beat,
        decision=PlcDecision.of(answer.verdict.decision),
        class_id=class_of(answer.label_index),
        score=score_of(answer.score),
        ms=round(answer.ms),
        code=int(answer.verdict.code or answer.warning),
        status=status | int(result_bits(shot)),
    )


class PlcHttp:
    """Answers `/plc/...`: every routed call with status 200 and the record.

    Args:
        line: The line it speaks for.
        access: `off`, `read` or `control`.
        allow: Addresses or networks that may ask, comma-separated; empty for all.

    Raises:
        ValueError: `allow` is not a list of addresses.
    """

    def __init__(self, line: Line, access: str = "control", allow: str = "") -> None:
        self._line = line
        self._keeper = Keeper()
        self._access = access
        self._allow = networks(allow)
        self._calls: Mapping[str, tuple[frozenset[str], Callable[[Request], PlcRecord]]] = {
            "/plc/trigger": (frozenset({"n", "part", "job", "wait", "f"}), self._trigger),
            "/plc/result": (frozenset({"n", "f"}), self._result),
            "/plc/status": (frozenset({"f"}), self._status),
            "/plc/job": (frozenset({"id", "f"}), self._job),
            "/plc/reset": (frozenset({"what", "f"}), self._reset),
        }

    def __call__(self, request: Request) -> Reply:
        """Answer one request."""
        if (refusal := self._refused(request)) is not None:
            return refusal
        if request.path in ("/plc/last.jpg", "/plc/ng.jpg"):
            return self._picture(request.path)
        if request.path not in self._calls:
            return Reply(b"no such call\r\n", status=404)
        if request.method not in ("GET", "POST"):
            return Reply(b"expected GET or POST\r\n", status=405)
        known, call = self._calls[request.path]
        try:
            if request.fault or not request.params.keys() <= known:
                raise BadParameter(request.fault or "unknown field")
            if request.params.get("f", "line") not in ("line", "json"):
                raise BadParameter("f")
            record = call(request)
        except BadParameter:
            record = self._no_decision(request, Code.BAD_PARAMETER)
        except Refused as error:
            record = self._no_decision(request, error.code)
        return _shown(request, record)

    def _refused(self, request: Request) -> Reply | None:
        """Browsers that another site sends here, and addresses that are not on the list."""
        headers = request.headers
        prefetch = "".join(headers.get(name, "") for name in ("sec-purpose", "purpose", "x-moz"))
        if (
            "origin" in headers
            or headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
            or "prefetch" in prefetch
            or (request.path in FIRING and _from_a_page(headers))
        ):
            return Reply(b"browsers may not fire\r\n", status=403)
        if not allowed(request.client, self._allow):
            return Reply(b"address not allowed\r\n", status=403)
        return None

    def _trigger(self, request: Request) -> PlcRecord:
        if self._access != "control":
            raise Refused(Code.NOT_ENABLED, "this port may only read")
        station = self._line.station
        wait_ms = _number(request, "wait", 0, 60_000, default=round(station.deadline_ms))
        until = request.arrived_at + min(wait_ms, station.deadline_ms) / 1000
        shot = station.fire(
            "plc",
            n=_number(request, "n", 0, MAX_NUMBER, default=0),
            part=_part(request),
            job=_number(request, "job", 1, MAX_JOB) if "job" in request.params else None,
            arrived_at=request.arrived_at,
            by_hand=True,
        )
        if station.claim(shot):
            self._see_to(request, shot, until)
        return self._waited(shot, until)

    def _see_to(self, request: Request, shot: Shot, until: float) -> None:
        """Inspect it here; if that takes too long, somebody else answers meanwhile."""

        def answer() -> None:
            request.early(_shown(request, self._waited(shot, until)))

        try:
            self._keeper.keep(shot.id, until, answer)
        except RuntimeError as error:
            # The part is seen to all the same: else the line would be busy with it for good.
            log.warning("nobody can answer for trigger %d at its deadline: %s", shot.n, error)
        self._line.see_to(shot)
        self._keeper.forget(shot.id)

    def _waited(self, shot: Shot, until: float) -> PlcRecord:
        self._line.station.wait(shot, until)
        return shot_record(self._line, shot)

    def _result(self, request: Request) -> PlcRecord:
        n = _number(request, "n", 1, MAX_NUMBER)
        shot = self._line.station.shot(n)
        return replace(shot_record(self._line, shot), n=n)

    def _status(self, request: Request) -> PlcRecord:
        del request
        return shot_record(self._line, self._line.station.last_answered())

    def _job(self, request: Request) -> PlcRecord:
        if self._access != "control":
            raise Refused(Code.NOT_ENABLED, "this port may only read")
        self._line.load_job(_number(request, "id", 1, MAX_JOB))
        return replace(self._status(request), code=int(Code.JOB_LOADING))

    def _reset(self, request: Request) -> PlcRecord:
        if self._access != "control":
            raise Refused(Code.NOT_ENABLED, "this port may only read")
        what = request.params.get("what", "error")
        if what == "error":
            self._line.clear_error()
        elif what == "counters":
            self._line.reset_shift("plc")
        else:
            raise BadParameter("what")
        return self._status(request)

    def _picture(self, path: str) -> Reply:
        kept = self._line.last_picture if path == "/plc/last.jpg" else self._line.last_ng_picture
        if kept is None:
            return Reply(b"no picture yet\r\n", status=404)
        return Reply(encode_jpeg(kept[1]), kind="image/jpeg")

    def _no_decision(self, request: Request, code: Code) -> PlcRecord:
        n = request.params.get("n", "0")
        known = n.isdecimal() and n.isascii() and int(n) <= MAX_NUMBER
        live = shot_record(self._line, None)
        return replace(
            live,
            n=int(n) if known else 0,
            decision=PlcDecision.NONE,
            class_id=NO_CLASS,
            code=int(code),
        )


def _shown(request: Request, record: PlcRecord) -> Reply:
    if request.params.get("f") == "json":
        return Reply(record.to_json(), kind="application/json")
    return Reply(record.to_line())


def _from_a_page(headers: Mapping[str, str]) -> bool:
    """Whether a browser asks, and does not say that a person typed the address.

    To an address of the plant without TLS browsers send no Sec-Fetch-Site, and no Origin
    for a picture or a link: a page of any site could fire by naming such a picture.
    """
    browser = headers.get("user-agent", "").startswith("Mozilla/") and "accept-language" in headers
    return browser and "sec-fetch-site" not in headers


def _number(request: Request, name: str, low: int, high: int, *, default: int | None = None) -> int:
    text = request.params.get(name)
    if text is None and default is not None:
        return default
    # isdecimal alone would let digits of other scripts through.
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > 10:
        raise BadParameter(name)
    if not low <= int(text) <= high:
        raise BadParameter(name)
    return int(text)


def _part(request: Request) -> str:
    part = request.params.get("part", "")
    if len(part) > MAX_PART_CHARS or not part.isascii() or not part.isprintable():
        raise BadParameter("part")
    return part
