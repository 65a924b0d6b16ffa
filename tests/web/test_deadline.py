"""One deadline: answered in time, refused at once, or no decision; late answers are only kept."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from device import Device, picture, until

from edge_app.breaker import Breaker
from edge_app.inference.budget import Deadline
from edge_app.web.request import ARRIVED_AT


def predict(device: Device, budget_ms: float = 200, **kwargs: Any) -> Any:
    """Post a red picture."""
    headers = {"X-Deadline-Ms": str(budget_ms)}
    return device.client.post(
        "/predict", data=picture(), content_type="image/png", headers=headers, **kwargs
    )


def test_a_stalled_model_answers_on_time(device: Device) -> None:
    """A stall of seconds is told at the deadline: no decision, code 23."""
    device.model.go_on.clear()
    began = time.monotonic()

    answer = predict(device)

    spent_ms = (time.monotonic() - began) * 1000
    error = answer.get_json()["error"]
    assert answer.status_code == 504
    assert 190 < spent_ms < 600
    assert (error["code"], error["verdict"], error["verdict_code"]) == ("too_late", "NONE", 23)
    assert device.record(error["id"]).decision == "NONE"


def test_a_late_answer_is_kept_and_never_sent(device: Device) -> None:
    """What the model says after the deadline stands beside the verdict NONE."""
    device.model.go_on.clear()
    late_id = predict(device, 50).get_json()["error"]["id"]
    device.model.go_on.set()

    kept = until(lambda: (r := device.record(late_id)).late_decision and r)

    assert (kept.decision, kept.code, kept.late_decision) == ("NONE", 23, "OK")
    assert kept.label == "red"
    assert kept.late_ms > kept.total_ms >= 50
    assert kept.image


def test_a_stall_refuses_the_next_ones_at_once(device: Device) -> None:
    """While an earlier upload is overdue nobody knows when the model is back."""
    device.model.go_on.clear()
    predict(device)
    began = time.monotonic()

    answer = predict(device)

    error = answer.get_json()["error"]
    assert (time.monotonic() - began) < 0.1
    assert (answer.status_code, error["code"]) == (503, "stalled")
    assert int(answer.headers["Retry-After"]) >= 1
    assert error["retry_after_ms"] >= 1
    assert device.client.get("/health").status_code == 200


def test_after_a_stall_all_is_well_again(device: Device) -> None:
    """As soon as the overdue upload is out the door is open."""
    device.model.go_on.clear()
    predict(device)
    device.model.go_on.set()
    until(lambda: device.uploads.door.inside == 0)

    assert until(lambda: predict(device).status_code == 200)


def test_a_stall_of_one_model_leaves_the_others_alone(device: Device) -> None:
    """Each model has its own lane."""
    device.install("shades")
    device.engines.start()
    assert device.client.post("/predict/shades", data=picture()).status_code == 200
    stalled = device.uploads.door.enter("shades", Deadline.start(60))
    time.sleep(0.2)

    assert device.client.post("/predict/shades", data=picture()).status_code == 503
    assert predict(device, 5000).status_code == 200

    device.uploads.door.leave(stalled)
    device.engines.stop()


def test_time_in_the_servers_queue_counts(device: Device) -> None:
    """A request that waited for a thread past its deadline is not worked on."""
    runs = device.model.runs

    answer = predict(device, environ_base={ARRIVED_AT: time.monotonic() - 1})

    assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "late")
    assert device.model.runs == runs


def test_a_caller_with_less_time_is_refused(device: Device) -> None:
    """What can't be done in a caller's own budget is refused, not begun."""
    device.model.takes_s = 0.03
    predict(device)
    runs = device.model.runs

    answer = predict(device, 10)

    assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "busy")
    assert device.model.runs == runs


def test_a_caller_with_more_time_gets_it(device: Device) -> None:
    """`X-Deadline-Ms` lengthens the budget, too."""
    device.model.takes_s = 0.3

    answer = predict(device, 2000)

    assert answer.status_code == 200
    assert answer.get_json()["timing_ms"]["invoke"] >= 300


def test_more_than_can_be_answered_are_refused(device: Device) -> None:
    """Whoever is let in is answered in time; the others hear it at once, while the model works."""
    device.model.takes_s = 0.3
    predict(device, 5000)
    door, model = device.uploads.door, device.model
    # It is believed to be slow and holds still until all have come: then it is quick.
    model.takes_s = 0.0
    model.go_on.clear()

    with ThreadPoolExecutor(16) as clients:
        answers = [clients.submit(predict, device, 3000) for _ in range(16)]
        until(lambda: door.inside + door.refused.total() == 16)
        let_in, refused = door.inside, door.refused.total()
        until(lambda: sum(answer.done() for answer in answers) == refused)
        model.go_on.set()

    statuses = [answer.result().status_code for answer in answers]
    assert 2 <= let_in <= 10
    assert (statuses.count(200), statuses.count(503)) == (let_in, refused)


def test_a_failing_model_is_let_rest(device: Device) -> None:
    """After five failures in a row uploads are refused without bothering the model."""
    device.model.failing = "no memory"
    failures = [predict(device) for _ in range(5)]
    runs = device.model.runs

    refused = predict(device)

    assert {503} == {answer.status_code for answer in failures}
    error = failures[0].get_json()["error"]
    assert (error["code"], error["verdict"]) == ("model_failed", "NONE")
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (503, "breaker")
    assert device.model.runs == runs
    assert [inspection.code for inspection in device.seen] == [40] * 5


def test_one_try_closes_the_breaker() -> None:
    """After the rest one is let through, the others wait for how it does."""
    breaker = Breaker(first_rest_s=0.05)
    for _ in range(5):
        assert breaker.wait_ms() == 0
        breaker.failed()
    assert breaker.wait_ms() > 0
    time.sleep(0.06)

    assert breaker.wait_ms() == 0
    assert breaker.wait_ms() > 0
    breaker.worked()

    assert breaker.wait_ms() == 0
    assert not breaker.open


def test_each_failed_try_makes_the_rest_longer() -> None:
    """A model that stays broken is tried ever less often."""
    breaker = Breaker(first_rest_s=0.05)
    for _ in range(7):
        breaker.failed()

    assert 150 < breaker.wait_ms() <= 200


def test_failures_are_recorded_as_no_decision(device: Device) -> None:
    """A part the model failed on has a record, and it is not OK."""
    device.model.failing = "no memory"
    predict(device)

    kept = device.record(device.seen[0].id)

    assert (kept.decision, kept.code, kept.reason) == ("NONE", 40, "no memory")


def test_large_pictures_are_worked_on_one_after_the_other(device: Device) -> None:
    """Their memory is not to be had twice; a small one is decoded meanwhile."""
    large = picture(width=2400, height=1800)

    def send(part: str, content: bytes, budget_ms: str) -> int:
        headers = {"X-Deadline-Ms": budget_ms}
        path = f"/predict?part={part}"
        return device.client.post(path, data=content, headers=headers).status_code

    device.model.go_on.clear()
    with ThreadPoolExecutor(3) as clients:
        first = clients.submit(send, "first", large, "5000")
        until(lambda: device.model.runs)
        both = clients.map(send, ("large", "small"), (large, picture()), ("400", "400"))
        assert list(both) == [504, 504]
        device.model.go_on.set()
        assert first.result() == 200

    laps_ms = {inspection.part: inspection.laps_ms for inspection in device.seen}
    assert "decode" not in laps_ms["large"]
    assert "decode" in laps_ms["small"]
