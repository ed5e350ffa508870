"""No lost and no invented record: writers that die anywhere, come back, and disks that forget."""

import dataclasses
import functools
import io
import secrets
import shutil
import tempfile
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orchestrator.errors import CheckpointError, StoreError
from orchestrator.metrics.predictions import Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.records import Status, TrialRecord
from orchestrator.store import Store, Superseded, checkpoints, forms
from orchestrator.store.files import RemoteFiles

T = "t"


class Died(BaseException):
    """The process of a writer ends here, as by SIGKILL: nothing of it runs anymore."""


class Mortal:
    """Files or a bucket as one process sees it, which dies right before or after a change.

    What comes between, half a change, is the file system's to rule out: it renames or puts whole
    files.
    """

    def __init__(self, real, changes):
        self.real, self.changes, self.left, self.after = real, changes, None, False

    def __getattr__(self, name: str):
        found = getattr(self.real, name)
        return self._counted(found) if name in self.changes else found

    def _counted(self, found: Callable) -> Callable:
        def change(*arguments, **options):
            if self.left is None:
                return found(*arguments, **options)
            self.left -= 1
            if self.left < 0 and not self.after:
                raise Died
            done = found(*arguments, **options)
            if self.left < 0:
                raise Died
            return done

        return change


class MortalFiles(Mortal):
    """Files of one process."""

    def __init__(self, files):
        super().__init__(files, ("write", "adopt", "delete", "set_aside", "create"))

    def guarded(self, guard):
        return MortalFiles(self.real.guarded(guard))


class MortalBucket(Mortal):
    """A bucket of one process, whose changes are requests: moving an object takes two."""

    def __init__(self, system):
        super().__init__(system, ("copy_file", "delete_file"))
        self.put = self._counted(self._put)

    def open_output_stream(self, path: str, **options):
        return Upload(self, path, options)

    def _put(self, path: str, data: bytes, options) -> None:
        with self.real.open_output_stream(path, **options) as stream:
            stream.write(data)

    def move(self, path: str, target: str) -> None:
        self.copy_file(path, target)
        self.delete_file(path)


class Upload(io.BytesIO):
    """An object, which is there once all of it was written."""

    def __init__(self, bucket: MortalBucket, path: str, options):
        super().__init__()
        self.put = functools.partial(bucket.put, path, options=options)

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self.put(self.getvalue())


def mortal(store: Store) -> Store:
    """The store as another process sees it."""
    files = store.files
    if isinstance(files, RemoteFiles):
        files = RemoteFiles(MortalBucket(files.system), files.root, files.uri)
    else:
        files = MortalFiles(files)
    return Store(files, store.uri)


def process(store: Store) -> Mortal:
    """What dies of a mortal store."""
    return store.files.system if isinstance(store.files, RemoteFiles) else store.files


def predictions(step: int) -> Predictions:
    targets = Targets.of_labels(np.array([0, 1]), num_classes=2)
    logits = np.full((2, 2), step, np.float32)
    return Predictions(epoch=1, clip_ids=("a", "b"), targets=targets, logits=logits)


@dataclasses.dataclass
class Writer:
    """A process at the trial: alive, or cut off and perhaps back."""

    store: Store
    lease: int


class StoreMachine(RuleBasedStateMachine):
    """One trial, attempted again and again; `self` knows what was acknowledged."""

    def __init__(self):
        super().__init__()
        self.folder = ""
        self.writers: list[Writer] = []
        self.step = 0
        # What a reader may find: of several, a writer died before it could say which.
        self.records: set[int | None] = {None}
        self.checkpoints: set[int | None] = {None}
        self.before: set[int | None] = {None}
        self.written: set[int] = set()
        self.damaged = False

    @initialize(kind=st.sampled_from(["local", "remote"]))
    def open(self, kind):
        if kind == "local":
            self.folder = tempfile.mkdtemp(prefix="machine-")
            self.store = Store.open(self.folder)
        else:
            self.store = Store.open(f"memory://{secrets.token_hex(4)}/store")

    def teardown(self):
        if self.folder:
            shutil.rmtree(self.folder)

    @rule()
    def take_over(self):
        """The holder's lease is over, and another process begins; the older ones live on."""
        store = mortal(self.store)
        with store.lock(T, owner="one", timeout_s=0) as lease:
            numbers = [writer.lease for writer in self.writers]
            assert lease > max(numbers, default=0)
            self.writers.append(Writer(store.attempt(T, lease=lease), lease))

    @precondition(lambda self: self.writers)
    @rule(dies_at=st.none() | st.integers(0, 1), after=st.booleans())
    def begin_again(self, dies_at, after):
        """Workers of one trial start again under the lease of their launcher."""
        newest, store = self.writers[-1].lease, mortal(self.store)
        process(store).left, process(store).after = dies_at, after
        try:
            begun = store.attempt(T, lease=newest)
        except Died:  # and may leave an attempt that nobody makes
            begun = mortal(self.store).attempt(T, lease=newest)
        process(begun).left = None
        self.writers.append(Writer(begun, newest))

    @precondition(lambda self: len(self.writers) > 1)
    @rule(data=st.data(), act=st.integers(0, 4))
    def come_back(self, data, act):
        """A writer of an older attempt is refused whatever it does, and changes nothing."""
        old = data.draw(st.sampled_from(self.writers[:-1]))
        process(old.store).left = None  # it was cut off, and did not die
        seen = self.seen()
        with pytest.raises(Superseded):
            self.acts(old.store, self.step + 1000)[act]()
        assert self.seen() == seen
        if old.lease < self.writers[-1].lease:
            with pytest.raises(Superseded):
                self.store.attempt(T, lease=old.lease)

    def acts(self, store: Store, step: int) -> list[Callable[[], object]]:
        return [
            lambda: self.finish(store, step),
            lambda: self.save(store, step),
            lambda: store.forget_checkpoint_before(T, "last"),
            lambda: store.set_aside_checkpoint(T, "last"),
            lambda: store.write_record(record(step, {})),
        ]

    @staticmethod
    def finish(store: Store, step: int) -> None:
        digest = store.write_predictions(T, "last", predictions(step))
        store.write_record(record(step, {"last": digest}))

    @staticmethod
    def save(store: Store, step: int) -> None:
        tensors = {"w": torch.full((4,), float(step))}
        store.save_checkpoint(T, "last", tensors, {"step": step}, keeps_before=True)

    def mortally(self, act, dies_at: int | None, after: bool) -> bool:
        """Let the newest writer act; return whether it survived. The dead begin no more."""
        writer = self.writers[-1]
        process(writer.store).left, process(writer.store).after = dies_at, after
        try:
            act(writer.store, self.step)
        except Died:
            self.take_over()
            return False
        process(writer.store).left = None
        return True

    @precondition(lambda self: self.writers)
    @rule(dies_at=st.none() | st.integers(0, 1), after=st.booleans())
    def finishes(self, dies_at, after):
        self.step += 1
        self.written.add(self.step)
        lived = self.mortally(self.finish, dies_at, after)
        # The predictions come first: the record says which file they are.
        self.records = {self.step} if lived else self.records | {self.step}

    @precondition(lambda self: self.writers)
    @rule(dies_at=st.none() | st.integers(0, 6), after=st.booleans())
    def saves(self, dies_at, after):
        self.step += 1
        self.written.add(self.step)
        before = self.checkpoints
        lived = self.mortally(self.save, dies_at, after)
        self.checkpoints = {self.step} if lived else before | {self.step}
        self.before = before if lived else self.before | before

    @precondition(lambda self: self.seen())
    @rule(
        data=st.data(), harm=st.sampled_from(["cut", "flip", "delete"]), at=st.integers(0, 1 << 20)
    )
    def damage(self, data, harm, at):
        """The disk loses what it said it had written."""
        seen = self.seen()
        path = data.draw(st.sampled_from(sorted(seen)))
        whole = seen[path]
        if harm == "delete" or not whole:  # nothing is left of it to cut
            self.store.files.delete(path)
        else:
            at %= len(whole)
            flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
            self.store.files.write(path, whole[:at] if harm == "cut" else flipped)
        self.damaged = True

    @precondition(lambda self: self.writers)
    @rule()
    def resume(self):
        """The next attempt sets aside what is damaged, and goes on from the newest whole state."""
        store = self.writers[-1].store
        if not self.believable():
            store.set_aside(T)
            self.records = {None}
        found, damaged = store.recover_checkpoint(T, "last")
        step = found and found[1]["step"]
        if self.damaged:
            assert step is None or step in self.written
        else:
            assert not damaged and step in self.checkpoints
        assert found is None or torch.all(found[0]["w"] == step)
        self.damaged = False
        self.records = {self.read()}
        self.checkpoints = {step}

    @invariant()
    def nothing_is_lost_or_invented(self):
        if not self.folder and not hasattr(self, "store"):
            return
        if self.damaged:
            # Refused by its name, or what some writer wrote.
            assert not self.believable() or self.read() in {None, *self.written}
        else:
            assert self.read() in self.records
            names = ("last", "last.before")  # the second alone, once the first was set aside
            folder = forms.checkpoint_folder(T)
            loaded = (checkpoints.load(self.store.files, folder, name) for name in names)
            found = next(filter(None, loaded), None)
            assert (found and found[1]["step"]) in self.checkpoints

    def believable(self) -> bool:
        try:
            step = self.read()
            made = self.store.read_record(T)
            if made is None or "last" not in made.predictions:
                return True
            found = self.store.read_predictions(T, "last", digest=made.predictions["last"])
            return found is not None and np.all(found.logits == step)
        except (StoreError, CheckpointError):
            return False

    def read(self) -> int | None:
        made = self.store.read_record(T)
        return None if made is None else int(made.provenance["step"])

    def seen(self) -> dict[str, bytes]:
        if not hasattr(self, "store"):
            return {}
        files = self.store.files
        paths = [
            f"{folder}/{name}"
            for folder in (forms.trial_folder(T), forms.checkpoint_folder(T))
            for name in files.names(folder)
            if name.endswith((".json", ".arrow", ".safetensors"))
        ]
        return {path: files.read(path) or b"" for path in paths}


def record(step: int, made: dict[str, str]) -> TrialRecord:
    provenance = {"step": str(step)}
    return TrialRecord(
        id=T, status=Status.FINISHED, experiment={}, provenance=provenance, predictions=made
    )


PROPERTY = settings(
    derandomize=True,
    database=None,
    stateful_step_count=25,
    phases=(Phase.explicit, Phase.generate),  # shrinking takes minutes
    suppress_health_check=list(HealthCheck),
)
TestStore = StoreMachine.TestCase
TestStore.settings = settings(PROPERTY, max_examples=15)


@pytest.mark.slow
def test_nothing_is_lost_or_invented_at_length():
    run_state_machine_as_test(
        StoreMachine, settings=settings(PROPERTY, max_examples=60, stateful_step_count=50)
    )


@pytest.mark.slow
def test_nothing_is_lost_or_invented_on_s3(new_bucket):
    class OnS3(StoreMachine):
        @initialize()
        def open(self):
            self.store = Store.open(new_bucket())

    run_state_machine_as_test(OnS3, settings=settings(PROPERTY, max_examples=10))
