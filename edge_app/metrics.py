"""What a plant's monitoring reads: counted as it happens, or looked up when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge_app.records.damage import set_aside_before
from edge_app.records.inspection import Inspection
from edge_app.watched import Watched

BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
"""The budget of 200 ms is a bucket's edge: what lies above it missed it."""

VERDICTS = ("ok", "ng", "review", "none")


class Metrics:
    """The app's own counts, and all that can be looked up.

    Args:
        watched: Who is asked for it.
    """

    def __init__(self, watched: Watched) -> None:
        # A second series for each counter, which nobody looks at.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types
        self._registry = CollectorRegistry(auto_describe=True)
        self._requests = Counter(
            "lineside_http_requests",
            "Requests answered.",
            ["dialect", "status"],
            registry=self._registry,
        )
        self._request_s = Histogram(
            "lineside_http_request_seconds",
            "From a request's last byte to its answer.",
            ["dialect"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._stage_s = Histogram(
            "lineside_upload_stage_seconds",
            "Stages of an upload.",
            ["stage"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._upload_s = Histogram(
            "lineside_upload_seconds",
            "From an upload's last byte to its verdict.",
            ["model"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._verdicts = Counter(
            "lineside_upload_verdicts",
            "Uploads by verdict and code.",
            ["verdict", "code"],
            registry=self._registry,
        )
        self._registry.register(_LookedUp(watched))
        # Each look-up of a label's own series would take as long as counting in it.
        self._of_request = cache(self._requests.labels)
        self._s_of_request = cache(self._request_s.labels)
        self._s_of_stage = cache(self._stage_s.labels)
        self._s_of_model = cache(self._upload_s.labels)
        self._of_verdict = cache(self._verdicts.labels)

    def answered(self, dialect: str, status: int, spent_s: float) -> None:
        """Count one answered request."""
        self._of_request(dialect, str(status)).inc()
        self._s_of_request(dialect).observe(spent_s)

    def inspected(self, inspection: Inspection) -> None:
        """Count one upload."""
        for stage, ms in inspection.laps_ms.items():
            self._s_of_stage(stage).observe(ms / 1000)
        self._s_of_model(inspection.model.split("/")[0]).observe(inspection.total_ms / 1000)
        self._of_verdict(str(inspection.decision), str(int(inspection.code))).inc()

    def text(self) -> bytes:
        """Everything, in the text format."""
        return generate_latest(self._registry)


class _LookedUp(Collector):
    """What others know already is asked of them, not counted twice."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def describe(self) -> Iterable[Metric]:
        """Nothing is looked up while the program is put together."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Look everything up."""
        yield from self._app()
        yield from self._box()
        yield self._written()
        yield from self._line_verdicts()
        for name, what, look in LINE_GAUGES:
            gauge = GaugeMetricFamily(name, what, labels=["camera"])
            for camera in self._watched.lines.names:
                if (value := look(self._watched.lines.state(camera).to_json())) is not None:
                    gauge.add_metric([camera], value)
            yield gauge

    def _app(self) -> Iterator[Metric]:
        uploads = self._watched.uploads
        refused = CounterMetricFamily(
            "lineside_upload_refusals", "Uploads refused, by reason.", labels=["reason"]
        )
        for reason, count in dict(uploads.door.refused).items():
            refused.add_metric([reason], count)
        yield refused
        loaded = uploads.engines.peek() is not None
        yield _gauge("lineside_model_loaded", "Whether uploads can be judged.", loaded)
        yield _gauge("lineside_uploads_inside", "Uploads in work.", uploads.door.inside)
        recorder, archive = uploads.recorder, uploads.archive
        yield _gauge("lineside_records_waiting", "Records not yet on disk.", recorder.waiting)
        yield _gauge(
            "lineside_records_failing", "Whether the disk refuses records.", bool(recorder.failing)
        )
        yield _gauge(
            "lineside_records_set_aside",
            "Damaged databases that were set aside.",
            len(set_aside_before(self._watched.data_dir)),
        )
        yield _gauge("lineside_pictures_bytes", "Pictures of uploads on disk.", archive.kept_bytes)
        lost = CounterMetricFamily("lineside_pictures_dropped", "Pictures of uploads given up.")
        lost.add_metric([], archive.dropped)
        yield lost

    def _box(self) -> Iterator[Metric]:
        box = self._watched.surroundings.to_json()
        # A machine that can't be slowed down, or does not tell, has nothing to be watched.
        for name, what, key in BOX_GAUGES:
            if box[key] is not None:
                yield _gauge(name, what, box[key])
        if box["written_bytes"] is not None:
            written = CounterMetricFamily(
                "lineside_disk_written_bytes", "All that was written to the disk since its start."
            )
            written.add_metric([], box["written_bytes"])
            yield written

    def _written(self) -> Metric:
        counts = CounterMetricFamily(
            "lineside_written_bytes",
            "What programs wrote since their start, by purpose; kernel: its own count of all.",
            labels=["program", "purpose"],
        )
        accounts: dict[str, object] = {"app": self._watched.ledger.to_json()}
        for camera in self._watched.lines.names:
            accounts[camera] = self._watched.lines.state(camera).status.get("written")
        for program, account in accounts.items():
            since_start = account.get("since_start") if isinstance(account, dict) else None
            for purpose, count in (since_start or {}).items():
                counts.add_metric([program, purpose], count)
        return counts

    def _line_verdicts(self) -> Iterator[Metric]:
        counts = CounterMetricFamily(
            "lineside_line_verdicts", "Parts by verdict.", labels=["camera", "verdict"]
        )
        missed = CounterMetricFamily(
            "lineside_line_missed", "Triggers that were refused.", labels=["camera"]
        )
        for camera in self._watched.lines.names:
            life = self._watched.lines.state(camera).status.get("life")
            if not isinstance(life, dict):
                continue
            for verdict in VERDICTS:
                counts.add_metric([camera, verdict.upper()], life.get(verdict, 0))
            missed.add_metric([camera], life.get("missed", 0))
        yield counts
        yield missed


def _latency(quantile: str) -> Callable[[dict[str, object]], float | None]:
    def look(state: dict[str, object]) -> float | None:
        value = _inside(state, "status", "latency_ms", quantile)
        return None if value is None else value / 1000

    return look


def _inside(document: object, *keys: str) -> float | None:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return float(document) if isinstance(document, int | float) else None


LINE_GAUGES: tuple[tuple[str, str, Callable[[dict[str, object]], float | None]], ...] = (
    ("lineside_line_up", "Whether the line answers.", lambda state: _inside(state, "up")),
    (
        "lineside_line_ready",
        "Whether the line takes triggers.",
        lambda state: _inside(state, "status", "ready"),
    ),
    (
        "lineside_line_age_seconds",
        "Age of what is known.",
        lambda state: _inside(state, "age_s"),
    ),
    ("lineside_line_latency_p50_seconds", "Median from trigger to verdict.", _latency("p50")),
    ("lineside_line_latency_p95_seconds", "95 % stay below.", _latency("p95")),
    ("lineside_line_latency_p99_seconds", "99 % stay below.", _latency("p99")),
    (
        "lineside_line_deadline_seconds",
        "Budget of a part.",
        lambda state: (
            None
            if (budget_ms := _inside(state, "status", "deadline_ms")) is None
            else budget_ms / 1000
        ),
    ),
    (
        "lineside_line_records_waiting",
        "Records of the line not yet on disk.",
        lambda state: _inside(state, "status", "records", "waiting"),
    ),
    (
        "lineside_line_warning",
        "The PLC's warning code: 50 storage, 51 hot or short of power, 52 clock; 0 none.",
        lambda state: _inside(state, "status", "warning"),
    ),
    (
        "lineside_line_reconnects",
        "How often the camera had to be opened again.",
        lambda state: _inside(state, "status", "source", "reconnects"),
    ),
)
"""Name, help and where it stands in a line's state."""


BOX_GAUGES = (
    ("lineside_temperature_celsius", "The hottest sensor.", "celsius"),
    ("lineside_throttled", "Whether something slows the processor down now.", "throttled"),
    ("lineside_under_voltage", "Whether the supply is too weak now.", "under_voltage"),
    ("lineside_clock_synchronised", "Whether somebody keeps the clock right.", "clock_kept"),
    ("lineside_memory_free_bytes", "What programs can still get.", "memory_free_bytes"),
    ("lineside_memory_bytes", "All memory.", "memory_bytes"),
    ("lineside_disk_free_bytes", "Free disk for records and pictures.", "free_bytes"),
    ("lineside_disk_bytes", "The whole disk.", "total_bytes"),
    ("lineside_card_years", "How long the card lives at the present rate.", "card_years"),
)
"""Name, help and where it stands in what is told of the computer."""


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value=float(value))
