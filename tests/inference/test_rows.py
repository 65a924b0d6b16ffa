"""Arrays go through a model in one run where it can be widened, and the answers stay the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_app.inference.bundle import ModelBundle
from edge_app.inference.engine import ROWS_AT_ONCE, Engine
from edge_app.inference.interpreter import RUNTIMES, ModelFailed, installed_runtimes
from edge_app.inference.tensor import Array, TensorInfo


class Counting:
    """An interpreter that counts its runs; widened, it gives what it is told to."""

    runtime, threads, tensor_bytes = "counting", 1, 0
    inputs = (TensorInfo("image", (1, 8, 8, 3), "float32"),)
    outputs = (TensorInfo("scores", (1, 2), "float32"),)

    def __init__(self) -> None:
        self.single = self.wide = 0
        self.wrong = 0.0
        self.refuses = False

    def invoke(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Twice what came."""
        self.single += 1
        return {"scores": tensors["image"][:, 0, 0, :2] * np.float32(2)}

    def invoke_rows(self, rows: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
        """The same for each row, unless told otherwise."""
        self.wide += 1
        if self.refuses:
            raise ModelFailed("a reshape in it knows one row only")
        return [{"scores": row["image"][:, 0, 0, :2] * np.float32(2 + self.wrong)} for row in rows]


@pytest.fixture
def counting() -> Counting:
    """Can be widened until told otherwise."""
    return Counting()


@pytest.fixture
def engine(counting: Counting, make_bundle: Callable[..., ModelBundle]) -> Engine:
    """An engine around it."""
    return Engine(make_bundle(), "litert", 1, load=lambda *_: counting)


def rows(count: int) -> list[dict[str, Array]]:
    """Rows that all differ."""
    return [{"image": np.full((1, 8, 8, 3), place, np.float32)} for place in range(count)]


def answers(engine: Engine, count: int) -> list[float]:
    """The first score of each row's answer."""
    return [float(answer["scores"][0, 0]) for answer in engine.run_rows(rows(count))]


def test_only_the_first_array_is_also_run_row_by_row(engine: Engine, counting: Counting) -> None:
    """That is how a model proves that it can be widened; afterwards one run does for several."""
    assert answers(engine, 3) == [0, 2, 4]
    assert (counting.single, counting.wide) == (3, 1)

    assert answers(engine, ROWS_AT_ONCE + 2) == [2 * row for row in range(ROWS_AT_ONCE + 2)]
    assert (counting.single, counting.wide) == (3, 3)


@pytest.mark.parametrize("fault", ["it refuses", "it gives other answers"])
def test_a_model_that_can_not_be_widened_is_run_row_by_row(
    engine: Engine, counting: Counting, fault: str
) -> None:
    """It is tried once; the answers are right the first time already."""
    counting.refuses = fault == "it refuses"
    counting.wrong = 0.5

    assert answers(engine, 3) == [0, 2, 4]
    assert answers(engine, 4) == [0, 2, 4, 6]
    assert (counting.single, counting.wide) == (7, 1)


def test_a_single_row_needs_no_widening(engine: Engine, counting: Counting) -> None:
    """Most arrays have one row."""
    assert answers(engine, 1) == [0]
    assert (counting.single, counting.wide) == (1, 0)


REAL_SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from edge_app.inference.interpreter import Interpreter, ModelFailed
folder, runtime = Path(sys.argv[1]), sys.argv[2]
found = {}
for file in sys.argv[3:]:
    model = Interpreter((folder / file).read_bytes(), runtime)
    rng = np.random.default_rng(5)
    rows = []
    for _ in range(5):
        values = {i.name: rng.integers(0, 100, i.shape).astype(i.dtype) for i in model.inputs}
        rows.append(values)
    single = [model.invoke(row) for row in rows]
    same = lambda these: all(
        np.allclose(a[name].astype(float), b[name].astype(float), rtol=1e-5, atol=1e-6)
        for a, b in zip(these, single) for name in a
    )
    try:
        wide = same(model.invoke_rows(rows))
    except ModelFailed as refused:
        wide = "refused"
    found[file] = [wide, same([model.invoke(row) for row in rows])]
print(json.dumps(found))
"""

WIDE = ("vww_96_int8.tflite", "vww_96_float.tflite", "ad01_int8.tflite")
NARROW = (
    "mobilenet_v1_0.25_224_quant.tflite",
    "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite",
)


@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_real_models_give_the_same_answers_widened(data: Path, runtime: str) -> None:
    """Those with a fixed shape inside refuse; all of them take a single row again afterwards."""
    if runtime not in installed_runtimes():
        pytest.skip(f"{runtime} is not installed here")
    command = [sys.executable, "-c", REAL_SCRIPT, str(data / "models"), runtime, *WIDE, *NARROW]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr

    found = json.loads(done.stdout)
    assert {file: found[file] for file in WIDE} == {file: [True, True] for file in WIDE}
    assert {file: found[file] for file in NARROW} == {file: ["refused", True] for file in NARROW}
