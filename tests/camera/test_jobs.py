"""Jobs on disk: what is saved comes back, and what is wrong is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.inference.judge import Limits
from edge_app.inference.preprocess import Roi
from edge_app.jobs import MAX_DELAY_MS, MAX_SHOTS, Job, JobError, JobStore, crc16, job_crc

SIDES = st.integers(1, 5000)
JOBS = st.builds(
    Job,
    number=st.integers(1, 999),
    # Whatever can be typed: TOML has no lone surrogates and no control characters.
    name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40),
    model=st.from_regex(r"[a-z][a-z0-9._-]{0,20}", fullmatch=True),
    roi=st.none() | st.builds(Roi, SIDES, SIDES, SIDES, SIDES),
    limits=st.none() | st.builds(Limits, good=st.just(("good",))),
    shots=st.integers(1, MAX_SHOTS),
    interval_ms=st.floats(0, MAX_DELAY_MS),
    delay_ms=st.floats(0, MAX_DELAY_MS),
    exposure_us=st.floats(0, 10_000_000),
    gain=st.floats(-1, 1000),
)


@given(JOBS)
def test_a_job_comes_back_as_it_was_saved(job: Job) -> None:
    """Every setting survives the file."""
    assert Job.from_toml(job.number, job.to_toml()) == job


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "name is missing"),
        ('name = "a"\nmodel = "b"\nspeed = 3', "speed"),
        ('name = "a"\nmodel = "b"\nshots = 0', "shots: expected 1 to 16"),
        ('name = "a"\nmodel = "b"\ndelay_ms = nan', "delay_ms"),
        ('name = "a"\nmodel = "b"\ngain = "high"', "job 7"),
        ('name = "a"\nmodel = "b"\n[roi]\nx = 1', "job 7: y is missing"),
        ("name = ", "job 7"),
    ],
)
def test_a_wrong_job_is_one_sentence(text: str, said: str) -> None:
    """The job and the setting are named."""
    with pytest.raises(JobError, match=said):
        Job.from_toml(7, text)


def test_an_absent_job_names_those_that_are_there(tmp_path: Path) -> None:
    """A person at a console sees what can be asked for."""
    store = JobStore(tmp_path)
    store.save(Job(3, "Caps", "caps"))
    store.save(Job(12, "Lids", "lids"))

    assert store.numbers() == [3, 12]
    with pytest.raises(JobError, match="no job 4; there are: 3, 12"):
        store.load(4)


def test_the_checksum_is_the_one_that_plc_programmers_know() -> None:
    """CRC-16/Modbus of the usual test text."""
    assert crc16(b"123456789") == 0x4B37


def test_another_recipe_or_model_has_another_checksum() -> None:
    """A changed setting or model is seen; the same job has the same number again."""
    job = Job(3, "Caps", "caps")
    known = {
        job_crc(job, "a" * 64),
        job_crc(job, "b" * 64),
        job_crc(Job(3, "Caps", "caps", delay_ms=1.0), "a" * 64),
        job_crc(Job(3, "Caps", "lids"), "a" * 64),
    }

    assert len(known) == 4
    assert job_crc(job, "a" * 64) in known
