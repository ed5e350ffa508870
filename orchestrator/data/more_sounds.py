"""The other half of the made-up sound events, and the list of all of them; see `sounds`."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from orchestrator.data import sounds
from orchestrator.data.sounds import (
    TAU,
    Sound,
    colored_noise,
    harmonics,
    hits,
    log_uniform,
    modes,
    regular,
    tone,
)


def snare(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Drum hits: a low skin and a rattle of noise."""
    onsets = regular(rng, time_s, rng.uniform(2, 7), 0.15)
    f0_hz, skin_s = log_uniform(rng, 120, 350), log_uniform(rng, 0.02, 0.08)
    rattle_s, rattle = log_uniform(rng, 0.03, 0.15), rng.uniform(0.4, 1.5)
    noise = colored_noise(rng, time_s, low_hz=1200)

    def hit(since_s: np.ndarray, _: int) -> np.ndarray:
        skin = np.exp(-since_s / skin_s) * np.sin(TAU * f0_hz * since_s)
        return skin + rattle * np.exp(-since_s / rattle_s) * noise[: len(since_s)]

    return hits(time_s, onsets, rng.uniform(0.5, 1, len(onsets)), hit)


def rumble(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Thunder: very low noise that swells and rolls."""
    noise = colored_noise(rng, time_s, slope=1.5, high_hz=log_uniform(rng, 80, 350))
    rolls = colored_noise(rng, time_s, slope=2.0, high_hz=rng.uniform(2, 8))
    return noise * (0.3 + np.abs(rolls) / np.abs(rolls).max())


def beeps(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """An alarm: one tone, on and off."""
    f0_hz, per_second = log_uniform(rng, 700, 3500), log_uniform(rng, 2, 8)
    on = (time_s * per_second % 1.0) < rng.uniform(0.3, 0.7)
    smooth = np.convolve(on, np.hanning(65) / np.hanning(65).sum(), mode="same")
    wave = tone(f0_hz, time_s)
    return smooth * (wave + rng.uniform(0, 0.5) * wave**3)


def steam(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """High hiss that holds."""
    low_hz = log_uniform(rng, 1500, 4500)
    return colored_noise(rng, time_s, low_hz=low_hz, high_hz=low_hz * rng.uniform(1.3, 2.5))


def footsteps(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Dull thuds at a walking pace, each with a scrape."""
    onsets = regular(rng, time_s, rng.uniform(1.6, 4.5), 0.25)
    noise = colored_noise(rng, time_s, slope=1.0, high_hz=log_uniform(rng, 300, 2000))
    decay_s, scrape = log_uniform(rng, 0.015, 0.06), rng.uniform(0.1, 0.5)

    def step(since_s: np.ndarray, _: int) -> np.ndarray:
        late = np.exp(-(((since_s - 0.09) / 0.03) ** 2))
        return (np.exp(-since_s / decay_s) + scrape * late) * noise[: len(since_s)]

    return hits(time_s, onsets, rng.uniform(0.5, 1, len(onsets)), step)


def barks(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Harsh harmonic bursts whose pitch rises and drops."""
    f0_hz, length_s = log_uniform(rng, 180, 600), rng.uniform(0.08, 0.22)
    onsets = regular(rng, time_s, rng.uniform(1.5, 4), 0.3)
    noise = colored_noise(rng, time_s, low_hz=500)

    def bark(since_s: np.ndarray, _: int) -> np.ndarray:
        part = np.minimum(since_s / length_s, 1.0)
        pitch_hz = f0_hz * (0.8 + 0.5 * np.sin(np.pi * part))
        body = harmonics(pitch_hz, since_s, roll_off=0.8, count=12)
        return np.sin(np.pi * part) * (body + 0.5 * noise[: len(since_s)])

    onsets = onsets[time_s[-1] - onsets > 0.01]
    return hits(time_s, onsets, rng.uniform(0.6, 1, len(onsets)), bark)


def tremolo_tone(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """A steady tone that pulses in level."""
    wave = tone(log_uniform(rng, 300, 2000), time_s)
    pulse = np.sin(TAU * log_uniform(rng, 4, 20) * time_s)
    return (wave + rng.uniform(0, 0.4) * wave**3) * (1 + rng.uniform(0.5, 1.0) * pulse)


def insect(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """A cricket: a high tone in fast pulses, the pulses in groups."""
    wave = tone(log_uniform(rng, 2500, 6000), time_s)
    pulses = np.maximum(np.sin(TAU * log_uniform(rng, 25, 90) * time_s), 0)
    groups = np.maximum(np.sin(TAU * rng.uniform(1.5, 5) * time_s), 0) ** 0.5
    return wave * pulses * groups


def glass(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Breaking glass: a crack, then many high splinters."""
    count = int(rng.integers(8, 25))
    onsets = np.sort(rng.exponential(0.12, count))
    onsets = onsets[onsets < 0.9 * time_s[-1]]
    f0_hz = rng.uniform(2000, 6500, count)
    decay_s = rng.uniform(0.01, 0.08, count)

    def splinter(since_s: np.ndarray, number: int) -> np.ndarray:
        return np.exp(-since_s / decay_s[number]) * np.sin(TAU * f0_hz[number] * since_s)

    crack = colored_noise(rng, time_s, low_hz=1500) * np.exp(-time_s / 0.03)
    return crack + hits(time_s, onsets, rng.uniform(0.2, 0.8, len(onsets)), splinter)


def plucked_string(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Harmonic partials that decay, struck a few times."""
    ratios = np.arange(1.0, 13.0)
    onsets = regular(rng, time_s, rng.uniform(1.5, 5), 0.2)
    f0_hz = log_uniform(rng, 100, 500) * 2 ** (rng.integers(-5, 8, len(onsets)) / 12)
    decay_s = log_uniform(rng, 0.1, 0.6)
    bodies = [modes(rng, time_s, ratios, f0, decay_s) for f0 in f0_hz]
    return hits(time_s, onsets, np.ones(len(onsets)), lambda t, n: bodies[n][: len(t)])


SOUNDS: tuple[Sound, ...] = (
    sounds.tone_sweep_up,
    sounds.tone_sweep_down,
    sounds.voice,
    sounds.click_train,
    sounds.noise_burst,
    sounds.wind,
    sounds.bouncing_ball,
    sounds.siren,
    sounds.bell,
    sounds.bird_chirps,
    sounds.rain,
    sounds.engine_hum,
    sounds.telephone,
    sounds.metallic_ring,
    sounds.water_drops,
    snare,
    rumble,
    beeps,
    steam,
    footsteps,
    barks,
    tremolo_tone,
    insect,
    glass,
    plucked_string,
)
