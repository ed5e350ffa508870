"""A folder of recordings that decides numbers, such as background noise to train with."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.digests import file_digest
from orchestrator.data.decode import decode, resampled
from orchestrator.data.layouts.tree import AUDIO, Tree
from orchestrator.data.source import ClipFault
from orchestrator.errors import ConfigError, DataError
from orchestrator.experiment.config import File


@dataclass(frozen=True)
class AudioFolder(File):
    """A folder of recordings: identified by the digest of its audio, found by its path.

    `AudioFolder.read("speech_commands/_background_noise_")` is the argument of a part that asks for
    recordings; the part gets them decoded, at the sample rate of the clips.

    Attributes:
        digest: Prefix `sha256:` and 64 hex digits, of names and contents of the audio files.
        path: Where the folder is on every host that trains; not part of any id.
    """

    @classmethod
    def read(cls, path: str | Path) -> AudioFolder:
        """Digest the audio files of a folder and of those below it.

        Raises:
            ConfigError: The folder cannot be read, or holds no audio.
        """
        root, names = _listed(path)
        digest = hashlib.sha256()
        for name in names:
            if not (root / name).is_file():  # opening a pipe would block
                raise ConfigError(f"{root / name} is not a file; take it out of the folder")
            try:
                digest.update(f"{name}\0{file_digest(root / name)}\n".encode())
            except OSError as error:
                raise ConfigError(f"cannot read {root / name} ({error.strerror})") from None
        return cls(f"sha256:{digest.hexdigest()}", str(root))

    def load(self, sample_rate: int) -> tuple[np.ndarray, ...]:
        """Decode the recordings, once per process.

        Args:
            sample_rate: Wanted rate in Hz.

        Returns:
            (time,) float32 mono in [-1, 1] of each file, in the order of their names.

        Raises:
            ConfigError: A file cannot be decoded, or the folder has changed since it was declared.
        """
        return _decoded(self.path, self.digest, sample_rate)


def _listed(path: str | Path) -> tuple[Path, tuple[str, ...]]:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"{str(path)!r} is not a folder on this host; give the path of a folder of recordings, "
            "such as Speech Commands' _background_noise_"
        )
    try:
        tree = Tree.of(folder)
    except DataError as error:
        raise ConfigError(str(error)) from None
    names = tree.ending(AUDIO)
    if not names:
        raise ConfigError(f"{tree.root} holds no audio (.{', .'.join(AUDIO)})")
    return tree.root, names


@functools.lru_cache(maxsize=2)
def _decoded(path: str, digest: str, sample_rate: int) -> tuple[np.ndarray, ...]:
    found = AudioFolder.read(path)
    if found.digest != digest:
        raise ConfigError(
            f"{path} does not hold the recordings that this experiment was declared with "
            f"({digest}, now {found.digest}); put them back, or run the sweep again to declare "
            "these"
        )
    root, names = _listed(path)
    recordings = []
    for name in names:
        try:
            recordings.append(resampled(decode(root / name), sample_rate=sample_rate))
        except ClipFault as fault:
            raise ConfigError(
                f"{root / name} cannot be decoded: {fault}; repair it or take it out of the folder"
            ) from None
    return tuple(recordings)
