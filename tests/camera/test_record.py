"""The PLC's record: 58 bytes that mean the same wherever they are read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera.plc.record import LINE_BYTES, PlcDecision, PlcRecord, class_of, score_of

RECORDS = st.builds(
    PlcRecord,
    n=st.integers(0, 65_535),
    id=st.integers(0, 2**32 - 1),
    decision=st.sampled_from(PlcDecision),
    class_id=st.integers(0, 999),
    score=st.integers(0, 10_000),
    ms=st.integers(0, 99_999),
    code=st.integers(0, 999),
    status=st.integers(0, 65_535),
    job=st.integers(0, 999),
    beat=st.integers(0, 65_535),
)


def test_the_line_of_the_contract() -> None:
    """The contract's own example comes out byte by byte."""
    record = PlcRecord(
        n=17,
        id=70_001,
        decision=PlcDecision.OK,
        class_id=3,
        score=9876,
        ms=42,
        status=43,
        job=3,
        beat=12_345,
    )

    assert record.to_line() == b"1,00017,0000070001,1,003,09876,00042,000,00043,003,12345\r\n"
    assert record.to_json() == (
        b'{"v":1,"n":17,"id":70001,"decision":1,"class":3,"score":9876,"ms":42,'
        b'"code":0,"status":43,"job":3,"beat":12345}'
    )


@given(RECORDS)
def test_what_is_written_is_read_back(record: PlcRecord) -> None:
    """Every record is 58 bytes and comes back the same, as a line and as JSON."""
    line = record.to_line()

    assert len(line) == LINE_BYTES == 58
    assert PlcRecord.from_line(line) == record
    document = json.loads(record.to_json())
    assert document.pop("class") == record.class_id
    assert all(getattr(record, name) == value for name, value in document.items())


@given(RECORDS)
def test_columns_stand_where_the_contract_has_them(record: PlcRecord) -> None:
    """A PLC that cuts fixed columns gets the numbers."""
    line = record.to_line().decode()
    starts = (0, 2, 8, 19, 21, 25, 31, 37, 41, 47, 51)
    ends = (*(start - 1 for start in starts[1:]), 56)
    values = [int(line[start:end]) for start, end in zip(starts, ends, strict=True)]

    assert values[1:4] == [record.n, record.id, record.decision]
    assert values[7] == record.code


@given(st.integers(0, 10**30), st.integers(0, 10**9))
def test_no_number_shifts_the_columns_behind_it(big: int, ms: int) -> None:
    """What outgrew its columns is cut to the largest that fits."""
    line = PlcRecord(n=1, id=big, ms=ms).to_line()

    assert len(line) == 58
    assert line[19:20] == b"0"


@given(st.binary(max_size=80))
def test_only_such_a_line_is_read(junk: bytes) -> None:
    """Anything else is a ValueError, never another exception."""
    try:
        record = PlcRecord.from_line(junk)
    except ValueError:
        return
    assert record.to_line() == junk


@given(st.floats(), st.integers())
def test_scores_and_classes_stay_in_their_range(score: float, index: int) -> None:
    """A score that is no number is 0, a class that does not fit is 999."""
    assert 0 <= score_of(score) <= 10_000
    assert class_of(index) in range(1000)
    assert class_of(-1) == class_of(999) == 999


@pytest.mark.parametrize("decision", list(PlcDecision))
def test_the_default_is_no_decision_yet(decision: PlcDecision) -> None:
    """A record made without a decision is never OK."""
    assert PlcRecord().decision is PlcDecision.NOT_YET
    assert PlcRecord(decision=decision).to_line()[19:20] == str(int(decision)).encode()
