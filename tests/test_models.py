"""The model store: what is kept, what is active, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_app.inference.acceptance import Proof
from edge_app.inference.bundle import (
    BundleError,
    ModelBundle,
    ModelSpec,
    pack_bundle,
    read_bundle,
    write_bundle,
)
from edge_app.inference.guess import Told
from edge_app.inference.tasks import Task
from edge_app.inference.tune import Choice, Row, Tuning, fingerprint
from edge_app.models import NO_PIN, ModelStore, ModelVersion, StoreError
from edge_app.shelf import name_of


def bundle(marker: str = "a", name: str = "caps") -> ModelBundle:
    """A whole model file around bytes that no runtime will ever see."""
    spec = ModelSpec(name, Task("raw"), (), (), None)
    return ModelBundle(b"TFL3" + marker.encode() * 100, spec)


class Examiner:
    """Proves and measures files without any runtime.

    Args:
        wrong: Contents of flatbuffers that fail, and what is wrong with them.
    """

    def __init__(self, wrong: dict[bytes, str] | None = None) -> None:
        self.wrong = wrong or {}
        self.unfit: set[Choice] = set()
        self.asked: list[tuple[str, Choice, bool]] = []

    def prove(self, path: Path, *, runtime: str, threads: int, quick: bool) -> Proof:
        """A whole file passes."""
        self.asked.append((path.name, Choice(runtime, threads), quick))
        try:
            flatbuffer = read_bundle(path).flatbuffer
        except BundleError as error:
            return Proof(str(error))
        if Choice(runtime, threads) in self.unfit:
            return Proof("it answers differently")
        return Proof(self.wrong.get(flatbuffer[:5], ""))

    def tune(self, path: Path) -> Tuning:
        """The other runtime is faster."""
        rows = (Row("tflite-runtime", 2, 1.0, 2.0, 9), Row("litert", 1, 3.0, 4.0, 9))
        return Tuning(fingerprint(), read_bundle(path).sha256, 1.0, rows)


def no_runtime() -> str:
    """As in a process that has loaded no runtime yet; this one has, sooner or later."""
    return ""


@pytest.fixture
def examiner() -> Examiner:
    """Lets every whole file pass."""
    return Examiner()


@pytest.fixture
def store(tmp_path: Path, examiner: Examiner) -> ModelStore:
    """An empty store."""
    return ModelStore(tmp_path / "models", examiner.prove, examiner.tune, loaded=no_runtime)


def test_an_empty_store_knows_nothing(store: ModelStore) -> None:
    """A folder that does not exist yet is a store without models."""
    assert store.names() == []
    assert store.versions("caps") == []
    assert store.active("caps") is None


def test_a_file_comes_back_as_it_went_in(store: ModelStore, tmp_path: Path) -> None:
    """What is loaded is what was added."""
    write_bundle(tmp_path / "in.tflite", bundle())

    version = store.add(tmp_path / "in.tflite")

    assert store.load(version) == bundle()
    assert store.names() == ["caps"]
    assert version == ModelVersion("caps", 1, store.folder / "caps" / "1.tflite")


def test_the_same_content_is_the_same_version(store: ModelStore) -> None:
    """Adding a file twice changes nothing."""
    first = store.add_content(pack_bundle(bundle()))
    again = store.add_content(pack_bundle(bundle()))

    assert first == again
    assert store.versions("caps") == [first]


def test_no_version_number_is_given_twice(store: ModelStore) -> None:
    """A removed version's number stays used."""
    store.add_content(pack_bundle(bundle("a")))
    second = store.add_content(pack_bundle(bundle("b")))
    store.remove("caps", second.version)

    assert store.add_content(pack_bundle(bundle("c"))).version == 3


def test_nothing_is_active_until_it_is_activated(store: ModelStore) -> None:
    """Adding does not activate."""
    version = store.add_content(pack_bundle(bundle()))
    assert store.active("caps") is None

    store.activate("caps", version.version)

    assert store.active("caps") == version


def test_a_refused_version_leaves_the_old_one_active(store: ModelStore, examiner: Examiner) -> None:
    """The reason is in the sentence and nothing changed."""
    examiner.wrong = {b"TFL3b": "it is tired"}
    first = store.add_content(pack_bundle(bundle("a")))
    store.add_content(pack_bundle(bundle("b")))
    store.activate("caps", 1)

    with pytest.raises(StoreError, match="version 2 was refused: it is tired"):
        store.activate("caps", 2)

    assert store.active("caps") == first


def test_rollback_goes_back_step_by_step(store: ModelStore) -> None:
    """Each rollback undoes one activation, and the first one has nothing before it."""
    for marker in "abc":
        store.activate("caps", store.add_content(pack_bundle(bundle(marker))).version)

    assert store.rollback("caps").version == 2
    assert store.rollback("caps").version == 1
    with pytest.raises(StoreError, match="no earlier active version"):
        store.rollback("caps")
    active = store.active("caps")
    assert active is not None
    assert active.version == 1


def test_rollback_skips_a_removed_version(store: ModelStore) -> None:
    """What is gone can't come back."""
    for marker in "abc":
        store.activate("caps", store.add_content(pack_bundle(bundle(marker))).version)
    store.remove("caps", 2)

    assert store.rollback("caps").version == 1


def test_the_active_version_can_not_be_removed(store: ModelStore) -> None:
    """What runs stays."""
    store.activate("caps", store.add_content(pack_bundle(bundle())).version)

    with pytest.raises(StoreError, match="is active"):
        store.remove("caps", 1)


def test_the_number_of_versions_is_bounded(tmp_path: Path, examiner: Examiner) -> None:
    """The oldest idle ones go; the active one and the one to roll back to stay."""
    store = ModelStore(tmp_path, examiner.prove, examiner.tune, kept=3, loaded=no_runtime)
    for marker in "ab":
        store.activate("caps", store.add_content(pack_bundle(bundle(marker))).version)
    for marker in "cdefg":
        store.add_content(pack_bundle(bundle(marker)))

    assert [version.version for version in store.versions("caps")] == [1, 2, 7]


def test_a_damaged_file_is_refused(store: ModelStore, tmp_path: Path) -> None:
    """One flipped bit is enough."""
    content = bytearray(pack_bundle(bundle()))
    content[50] ^= 1
    (tmp_path / "in.tflite").write_bytes(content)

    with pytest.raises(StoreError, match="damaged"):
        store.add(tmp_path / "in.tflite")
    assert store.names() == []


def test_a_version_that_was_damaged_on_disk_is_not_loaded(store: ModelStore) -> None:
    """Loading verifies."""
    version = store.add_content(pack_bundle(bundle()))
    version.path.write_bytes(version.path.read_bytes()[:-10])

    with pytest.raises(StoreError, match="caps version 1"):
        store.load(version)
    with pytest.raises(StoreError, match="caps version 1"):
        store.activate("caps", 1)
    assert store.active("caps") is None


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "x" * 65, "a b", "-x"])
def test_a_name_that_is_no_name_is_refused(store: ModelStore, name: str) -> None:
    """A name becomes a folder and a URL, so it is checked before either."""
    with pytest.raises(StoreError, match=r"name|no model"):
        store.add_content(pack_bundle(bundle(name=name)))
    with pytest.raises(StoreError, match="there is no model"):
        store.version(name, 1)


def test_an_unknown_version_is_named_with_those_there_are(store: ModelStore) -> None:
    """The sentence tells what to ask for instead."""
    store.add_content(pack_bundle(bundle()))

    with pytest.raises(StoreError, match="no version 7; it has: 1"):
        store.activate("caps", 7)
    with pytest.raises(StoreError, match="no model 'caps2'; there are: caps"):
        store.activate("caps2", 1)


def test_leftovers_of_a_dead_writer_are_swept(store: ModelStore) -> None:
    """A half file is never a version, and the next change removes it."""
    store.add_content(pack_bundle(bundle("a")))
    leftover = store.folder / "caps" / ".2.tflite.1234.partial"
    leftover.write_bytes(b"half")
    assert len(store.versions("caps")) == 1

    store.add_content(pack_bundle(bundle("b")))

    assert not leftover.exists()


def test_activation_measures_and_the_choice_is_kept(store: ModelStore, examiner: Examiner) -> None:
    """The fastest combination is what a version runs with, also after a restart."""
    version = store.add_content(pack_bundle(bundle()))
    assert store.choice(version) == Choice("", 1)

    store.activate("caps", 1)

    def opened(pin: Choice = NO_PIN, loaded: str = "") -> ModelStore:
        return ModelStore(store.folder, examiner.prove, loaded=lambda: loaded, pin=pin)

    assert opened().choice(version) == Choice("tflite-runtime", 2)
    assert opened(loaded="litert").choice(version) == Choice("litert", 1)
    assert opened(Choice("litert", 0)).choice(version) == Choice("litert", 1)
    assert opened(Choice("", 1)).choice(version) == Choice("litert", 1)
    assert opened(Choice("litert", 4)).choice(version) == Choice("litert", 4)


def test_a_version_proves_itself_in_each_runtime(store: ModelStore, examiner: Examiner) -> None:
    """One program may have loaded another runtime than the fastest, and stays with it."""
    store.add_content(pack_bundle(bundle()))

    store.activate("caps", 1)

    proved = {choice.runtime for _, choice, _ in examiner.asked}
    assert proved == {"litert", "tflite-runtime"}


@pytest.mark.parametrize(("pin", "loaded"), [(Choice("litert", 0), ""), (NO_PIN, "litert")])
def test_what_fails_in_the_runtime_that_is_in_use_is_not_activated(
    tmp_path: Path, examiner: Examiner, pin: Choice, loaded: str
) -> None:
    """Set or loaded: a way that answers differently is not taken for want of another."""
    examiner.unfit = {Choice("litert", 1)}
    store = ModelStore(tmp_path, examiner.prove, examiner.tune, loaded=lambda: loaded, pin=pin)
    version = store.add_content(pack_bundle(bundle()))

    with pytest.raises(StoreError, match=r"can't run in litert.*: it answers differently"):
        store.activate("caps", 1)

    assert store.active("caps") is None
    with pytest.raises(StoreError, match="can't run in litert"):
        store.choice(version)
    assert ModelStore(tmp_path, examiner.prove, loaded=no_runtime).activate("caps", 1) == version
    assert "can't run in litert" in store.start("caps").problems[0]


def test_a_fast_combination_that_answers_differently_is_not_chosen(
    store: ModelStore, examiner: Examiner
) -> None:
    """The next one has its turn, and the table says why."""
    examiner.unfit = {Choice("tflite-runtime", 2)}
    version = store.add_content(pack_bundle(bundle()))

    store.activate("caps", 1)

    assert store.choice(version) == Choice("litert", 1)
    tuning = store.tuning(version)
    assert tuning is not None
    assert tuning.rows[-1].problem == "it answers differently"


def test_a_measurement_of_another_device_does_not_count(tmp_path: Path, examiner: Examiner) -> None:
    """A card that was moved to another board is measured anew."""

    def elsewhere(path: Path) -> Tuning:
        tuning = examiner.tune(path)
        return Tuning({"machine": "another"}, tuning.sha256, 1.0, tuning.rows)

    moved = ModelStore(tmp_path / "models", examiner.prove, elsewhere, loaded=no_runtime)
    version = moved.add_content(pack_bundle(bundle()))
    moved.activate("caps", 1)

    assert moved.tuning(version) is None
    assert moved.choice(version) == Choice("", 1)


def test_a_damaged_table_of_measurements_is_as_good_as_none(store: ModelStore) -> None:
    """Nothing that only makes it faster can stop a model."""
    version = store.add_content(pack_bundle(bundle()))
    store.activate("caps", 1)
    (store.folder / "caps" / "tuning.json").write_text('{"1": {"rows": [1]}}')
    (store.folder / "caps" / "history.json").write_text("nonsense")
    (store.folder / "caps" / "counter").write_text("nonsense")

    assert store.choice(version) == Choice("", 1)
    assert store.start("caps").version == version
    assert store.add_content(pack_bundle(bundle("b"))).version == 2


def test_a_start_proves_the_active_version_quickly(store: ModelStore, examiner: Examiner) -> None:
    """In good times nothing is said and nothing changes."""
    version = store.add_content(pack_bundle(bundle()))
    store.activate("caps", 1)
    examiner.asked.clear()

    started = store.start("caps")

    assert started.version == version
    assert started.problems == ()
    assert examiner.asked == [("1.tflite", Choice("tflite-runtime", 2), True)]


def test_a_start_goes_back_to_the_last_good_version(store: ModelStore) -> None:
    """A rotten file is passed over, loudly, and every program sees the same version."""
    for marker in "abc":
        store.activate("caps", store.add_content(pack_bundle(bundle(marker))).version)
    for number in (2, 3):
        path = store.version("caps", number).path
        path.write_bytes(path.read_bytes()[:-1])

    started = store.start("caps")

    assert started.version == store.version("caps", 1) == store.active("caps")
    assert len(started.problems) == 3
    assert "caps/3 failed its proof" in started.problems[0]
    assert "went back to version 1" in started.problems[2]


def test_a_start_without_any_good_version_says_so(store: ModelStore, examiner: Examiner) -> None:
    """There is no version then; the caller answers NONE and stays up."""
    assert store.start("caps").version is None
    store.activate("caps", store.add_content(pack_bundle(bundle())).version)
    examiner.wrong = {b"TFL3a": "it is tired"}

    started = store.start("caps")

    assert started.version is None
    assert "it is tired" in started.problems[0]


def test_a_foreign_file_that_no_runtime_takes_is_refused(store: ModelStore, tmp_path: Path) -> None:
    """What is no model at all is told by its first bytes."""
    (tmp_path / "holiday.tflite").write_bytes(b"\xff\xd8\xff holiday")

    with pytest.raises(StoreError, match=r"holiday.tflite was refused: expected a TFLite model"):
        store.add(tmp_path / "holiday.tflite")
    with pytest.raises(StoreError, match="can't read"):
        store.add(tmp_path / "missing.tflite")


@pytest.mark.parametrize(
    ("file_name", "name"),
    [
        ("caps.tflite", "caps"),
        ("My caps (2).tflite", "My-caps-2"),
        ("_x", "x"),
        ("???.tflite", "model"),
    ],
)
def test_a_file_name_becomes_a_model_name(file_name: str, name: str) -> None:
    """What may not be in a name becomes a hyphen."""
    assert name_of(file_name) == name


def test_the_same_model_is_measured_once(store: ModelStore, examiner: Examiner) -> None:
    """Other labels make another version, not another speed."""
    store.activate("caps", store.add_content(pack_bundle(bundle())).version)
    twin = bundle()
    spec = replace(twin.spec, made={"note": "other labels"})
    version = store.add_content(pack_bundle(replace(twin, spec=spec)))
    examiner.asked.clear()

    store.activate("caps", version.version)

    assert store.choice(version) == Choice("tflite-runtime", 2)
    assert examiner.asked == [("2.tflite", Choice("tflite-runtime", 2), False)]


def test_a_start_finds_an_earlier_version_where_the_active_file_is_gone(store: ModelStore) -> None:
    """Whatever took it: the device goes on with what it had before."""
    for marker in "ab":
        store.activate("caps", store.add_content(pack_bundle(bundle(marker))).version)
    store.version("caps", 2).path.unlink()

    started = store.start("caps")

    assert started.version == store.version("caps", 1) == store.active("caps")
    assert "no active version" in started.problems[0]


def test_a_start_on_a_read_only_disk_still_finds_a_model(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can't be kept, so this program alone runs the earlier version, and says so."""
    for marker in "ab":
        store.activate("caps", store.add_content(pack_bundle(bundle(marker))).version)
    path = store.version("caps", 2).path
    path.write_bytes(path.read_bytes()[:-1])

    def read_only(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("edge_app.shelf.link_durably", read_only)
    started = store.start("caps")

    assert started.version == store.version("caps", 1)
    assert "Read-only file system" in started.problems[-1]


def test_a_file_of_ours_is_not_told_what_it_is(store: ModelStore) -> None:
    """Words that would be ignored are refused."""
    with pytest.raises(StoreError, match="says everything itself"):
        store.add_content(pack_bundle(bundle()), told=Told(good=("round",)))
