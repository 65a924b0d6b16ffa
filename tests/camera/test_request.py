"""The fields of a request: each at most once, from address and body."""

from __future__ import annotations

import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera.request import MAX_FIELDS, read_fields

QUERIES = st.text("ab1=&+%;\xe9 ", max_size=40)


@given(QUERIES)
def test_a_query_says_what_the_standard_library_reads_in_it(query: str) -> None:
    """Escaped or not, with blank values, without an equals sign: the same fields."""
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    try:
        fields = read_fields(query, b"")
    except ValueError:
        assert query.count("&") >= MAX_FIELDS or len(dict(pairs)) < len(pairs)
    else:
        assert fields == dict(pairs)


@pytest.mark.parametrize("escaped", ["", "+"])
def test_fields_are_counted(escaped: str) -> None:
    """Twenty are read; one more is refused, whatever stands in them."""
    fields = [f"f{number}={number}{escaped}" for number in range(MAX_FIELDS + 1)]

    assert len(read_fields("&".join(fields[1:]), b"")) == MAX_FIELDS
    with pytest.raises(ValueError, match=f"expected at most {MAX_FIELDS} fields"):
        read_fields("&".join(fields), b"")
