"""Gates, the preprocessing finder, the golden set: what is decided by numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from convert import finder, golden
from convert.calibration import Samples, warnings_for
from convert.compare import ClassFigures, Comparison
from convert.errors import Refused
from convert.gates import Gates
from convert.options import contract_of, parser
from edge_app.inference.judge import Limits
from edge_app.inference.preprocess import Contract


def _comparison(
    agreement: float = 1.0, accuracy: float = 0.9, recall: float = 0.9, count: int = 100
) -> Comparison:
    by_label = {"ok": ClassFigures(count, 0.9, 0.9), "bad": ClassFigures(count, 0.9, recall)}
    return Comparison(
        "litert",
        np.zeros(2 * count),
        1.0,
        agreement=agreement,
        float_accuracy=0.9,
        accuracy=accuracy,
        by_label=by_label,
    )


def test_a_model_as_good_as_float_passes() -> None:
    """No gate finds anything to say."""
    assert Gates().failures(_comparison(), ("bad",)) == []


@pytest.mark.parametrize(
    ("figures", "gates", "said"),
    [
        (_comparison(agreement=0.85), Gates(), "agreement 85.0% is below 90.0%"),
        (_comparison(accuracy=0.88), Gates(), "accuracy falls by 2.0 points"),
        (_comparison(recall=0.85), Gates(), "recall of 'bad' falls by 5.0 points"),
        (_comparison(), Gates(min_recall={"bad": 0.95}), "at least 95.0% is asked"),
        (_comparison(accuracy=0.88), Gates(max_accuracy_drop=0.03), ""),
    ],
)
def test_gates(figures: Comparison, gates: Gates, said: str) -> None:
    """Each gate fails by its own sentence, which names the runtime."""
    found = gates.failures(figures, ("bad",))
    assert bool(said) == bool(found)
    assert all(said in sentence and "in litert" in sentence for sentence in found)


def test_one_picture_of_few_is_forgiven() -> None:
    """One of 40 pictures is 2.5 points of accuracy and no evidence; two are."""
    gates = Gates()
    assert not gates.failures(_comparison(accuracy=0.875, count=20), ("bad",))
    assert gates.failures(_comparison(accuracy=0.85, count=20), ("bad",))


def test_no_lost_defect_is_forgiven() -> None:
    """One of 20 defects that float saw and the quantized model does not fails the gate."""
    gates = Gates()
    assert gates.failures(_comparison(recall=0.85, count=20), ("bad",))
    assert not gates.failures(_comparison(recall=0.85, count=20), ())


def test_answers_that_are_no_numbers_never_pass() -> None:
    """A NaN fails whatever else is agreed."""
    figures = Comparison("litert", np.array([np.nan]), 1.0, agreement=1.0)
    assert Gates(min_agreement=0.0).failures(figures, ()) == [
        "its answers are not all numbers in litert"
    ]


TRUTH = np.arange(60) % 2


def _scores(right: Contract) -> finder.Score:
    """A model that knows the labels under one contract, and guesses under every other."""

    def score(contract: Contract) -> NDArray[np.float64]:
        random = np.random.default_rng(3)
        sure = random.uniform(0.8, 0.99, 60) if contract == right else random.uniform(0, 1, 60)
        scores = np.empty((60, 2))
        scores[np.arange(60), TRUTH] = sure
        scores[np.arange(60), 1 - TRUTH] = 1 - sure
        return scores

    return score


@pytest.mark.parametrize("name", sorted(finder.ranges(3)))
def test_the_finder_finds_each_plausible_contract(name: str) -> None:
    """Whichever contract the labels support comes first, clearly."""
    right = finder.ranges(3)[name]
    best, second, *_ = finder.search(
        _scores(right), TRUTH, 3, given=None, base=Contract(), resizes=("stretch",)
    )
    assert best.contract == right
    assert finder.clearly_better(best, second)


def test_the_finder_tries_the_fit_for_the_best_ranges() -> None:
    """Letterbox is found although the first round stretches."""
    right = Contract("RGB", "letterbox")

    def score(contract: Contract) -> NDArray[np.float64]:
        near = Contract("RGB", contract.resize)
        scores = _scores(near)(contract)
        return scores if contract.resize == "letterbox" else 0.5 + (scores - 0.5) * 0.6

    found = finder.search(
        score, TRUTH, 3, given=None, base=Contract(), resizes=("stretch", "crop", "letterbox")
    )
    assert found[0].contract == right


def test_pictures_that_tell_nothing_decide_nothing() -> None:
    """Equal scores are called equal, and none is clearly better."""
    same = np.full((60, 2), 0.5)
    first, second, *_ = finder.search(
        lambda _: same, TRUTH, 3, given=None, base=Contract(), resizes=("stretch",)
    )
    assert finder.equal(first, second)
    assert not finder.clearly_better(first, second)


def test_labels_in_another_order_are_noticed() -> None:
    """The sentence gives the order that would be right."""
    scores = np.eye(3)[[1, 2, 0] * 10]
    truth = np.array([0, 1, 2] * 10)
    hint = finder.order_hint(scores, truth, ["ok", "scratch", "dent"])
    assert hint.endswith("100% of the pictures would be right with dent, ok, scratch")
    assert not finder.order_hint(np.eye(3)[truth], truth, ["ok", "scratch", "dent"])


@given(st.integers(1, 200), st.integers(2, 6), st.integers(0, 1000))
def test_a_golden_set_has_every_class_and_its_bounds(count: int, labels: int, seed: int) -> None:
    """At most 32 of the samples, none twice, and each class that exists is in it."""
    random = np.random.default_rng(seed)
    scores = random.dirichlet(np.ones(labels), count)
    truth = random.integers(0, labels, count)
    samples = Samples({"x": np.zeros((count, 4, 4, 3), np.uint8)}, Contract())
    places = golden.choose(samples, truth, scores, Limits())
    assert len(places) == len(set(places)) == min(count, golden.MOST)
    assert set(truth[places]) == set(truth)


def test_a_golden_set_keeps_samples_near_the_limits() -> None:
    """There the verdict may tip, so there a device is held to the answer."""
    top = np.array([0.99] * 50 + [0.895, 0.505])
    scores = np.stack([top, 1 - top], axis=1)
    samples = Samples({"x": np.zeros((52, 4, 4, 3), np.uint8)}, Contract())
    assert {50, 51} <= set(golden.choose(samples, np.full(52, -1), scores, Limits()))


def test_calibration_is_doubted_when_it_is_small_one_sided_or_dark() -> None:
    """Each fault has its own sentence."""
    pixels = np.random.default_rng(0).integers(0, 30, (20, 4, 4, 3)).astype(np.uint8)
    said = warnings_for(Samples({"x": pixels}, Contract()), {"ok": 18, "bad": 2})
    assert [" ".join(sentence.split()[:3]) for sentence in said] == [
        "calibration saw only",
        "calibration is one-sided:",
        "the pictures use",
    ]


def test_ranges_follow_the_colour_order() -> None:
    """ImageNet's means stand in the order of the channels that the network gets."""
    options = parser().parse_args(["m", "-o", "x.tflite", "--color", "BGR", "--range", "imagenet"])
    assert contract_of(options, 3).mean == (103.53, 116.28, 123.675)


def test_a_range_told_twice_is_refused() -> None:
    """Nobody can know which was meant."""
    options = parser().parse_args(["m", "-o", "x.tflite", "--range", "0..1", "--mean", "1"])
    with pytest.raises(Refused, match="not both"):
        contract_of(options, 3)


def test_the_exit_statuses_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever writes a script finds them there."""
    with pytest.raises(SystemExit) as left:
        parser().parse_args(["--help"])
    assert left.value.code == 0
    assert "failed a gate" in capsys.readouterr().out


def test_a_golden_set_holds_only_what_all_runtimes_answer_alike() -> None:
    """A device may run any of them: a sample on which they differ proves nothing."""
    scores = np.random.default_rng(0).dirichlet(np.ones(3), 90)
    samples = Samples({"x": np.zeros((90, 4, 4, 3), np.uint8)}, Contract())
    steady = np.arange(90) % 3 == 0
    places = golden.choose(samples, np.full(90, -1), scores, Limits(), steady)
    assert places
    assert all(steady[place] for place in places)


@pytest.mark.parametrize(
    ("told", "mean", "std"),
    [
        (["--range", "-1..1"], (127.5,), (127.5,)),
        (["--mean", "-1,-2.5,3", "--std", "1"], (-1.0, -2.5, 3.0), (1.0,)),
        (["--mean", "-.5", "--std=2"], (-0.5,), (2.0,)),
    ],
)
def test_values_may_begin_with_a_minus(
    told: list[str], mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    """They stand behind their option as any other value does."""
    contract = contract_of(parser().parse_args(["m", "-o", "x.tflite", *told]), 3)
    assert (contract.mean, contract.std) == (mean, std)
