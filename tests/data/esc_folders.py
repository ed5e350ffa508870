"""Made-up ESC folders with a few tenths of a second of noise per clip."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

SECONDS = 0.2
RATE_HZ = 16000


def noise(seed: int, *, seconds: float = SECONDS, rate_hz: int = RATE_HZ, channels: int = 1):
    rng = np.random.default_rng(seed)
    wave = rng.uniform(-0.5, 0.5, (round(seconds * rate_hz), channels))
    return np.round(wave * 32768) / 32768


@dataclass
class EscFolder:
    """Two classes (targets 7 and 30), two folds, two clips of each in each: eight clips."""

    root: Path
    rows: list[dict[str, object]] = field(default_factory=list)

    @property
    def audio(self) -> Path:
        return self.root / "audio"

    def fill(self) -> EscFolder:
        self.audio.mkdir(parents=True)
        (self.root / "meta").mkdir()
        for index in range(8):
            fold, target, take = 1 + index // 4, (30, 7)[index % 2], "AB"[index // 2 % 2]
            name = f"{fold}-{100 + index}-{take}-{target}.flac"
            category = {7: "dog", 30: "rain"}[target]
            self.rows.append(
                {"filename": name, "fold": fold, "target": target, "category": category}
            )
            soundfile.write(self.audio / name, noise(index), RATE_HZ, subtype="PCM_16")
        return self.write_list()

    def write_list(self, name: str = "made_up.csv") -> EscFolder:
        with (self.root / "meta" / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)
        return self

    def path(self, index: int) -> Path:
        return self.audio / str(self.rows[index]["filename"])

    def rename(self, index: int, name: str) -> Path:
        """Give a clip another file name; the file itself is gone."""
        self.path(index).unlink()
        self.rows[index]["filename"] = name
        self.write_list()
        return self.audio / name
