"""Kinds of synthetic sound events, as functions of time and a random generator.

Each takes `(rng, time_s)`, with `time_s` `(samples,)` in seconds from the event's start, and
returns `(samples,)` float64 of any level. The ranges of neighboring kinds overlap on purpose (a
sweep may be as short as a chirp, a siren as slow as a voice's vibrato), so that a classifier has
something to learn. The order is fixed: a kind is identified by its position in `SOUNDS`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

Sound = Callable[[Generator, np.ndarray], np.ndarray]
TAU = 2 * np.pi


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Draw between two positive numbers, every octave as likely as the next."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def rate_hz(time_s: np.ndarray) -> float:
    """Return the sample rate of a time axis."""
    return 1.0 / (time_s[1] - time_s[0])


def tone(frequency_hz: np.ndarray | float, time_s: np.ndarray) -> np.ndarray:
    """A sine whose frequency may change from sample to sample."""
    steps = np.broadcast_to(frequency_hz, time_s.shape) / rate_hz(time_s)
    return np.sin(TAU * np.cumsum(steps))


def harmonics(f0_hz: np.ndarray, time_s: np.ndarray, *, roll_off: float, count: int) -> np.ndarray:
    """Partials of a fundamental, each `roll_off` times as loud as the one below."""
    phase = TAU * np.cumsum(f0_hz / rate_hz(time_s))
    number = np.arange(1, count + 1)[:, None]
    audible = number * f0_hz.max() < 0.45 * rate_hz(time_s)
    return (audible * roll_off ** (number - 1) * np.sin(number * phase)).sum(axis=0)


def colored_noise(
    rng: Generator,
    time_s: np.ndarray,
    *,
    slope: float = 0.0,
    low_hz: float = 0.0,
    high_hz: float = np.inf,
) -> np.ndarray:
    """Gaussian noise with power falling as 1 / f^slope inside a band with soft edges."""
    spectrum = np.fft.rfft(rng.standard_normal(len(time_s)))
    frequency_hz = np.fft.rfftfreq(len(time_s), 1 / rate_hz(time_s))
    gain = np.maximum(frequency_hz, 20.0) ** (-slope / 2)
    if low_hz > 0:
        gain /= np.sqrt(1 + (low_hz / np.maximum(frequency_hz, 1e-3)) ** 8)
    if np.isfinite(high_hz):
        gain /= np.sqrt(1 + (frequency_hz / high_hz) ** 8)
    return np.fft.irfft(spectrum * gain, len(time_s))


def hits(
    time_s: np.ndarray,
    onsets_s: np.ndarray,
    levels: np.ndarray,
    hit: Callable[[np.ndarray, int], np.ndarray],
) -> np.ndarray:
    """Sum `hit(time since its onset, its number)` over all onsets."""
    out = np.zeros_like(time_s)
    for number, (onset_s, level) in enumerate(zip(onsets_s, levels, strict=True)):
        start = int(np.searchsorted(time_s, onset_s))
        out[start:] += level * hit(time_s[: len(time_s) - start], number)
    return out


def regular(rng: Generator, time_s: np.ndarray, per_second: float, jitter: float) -> np.ndarray:
    """Onsets at a steady pace; `jitter` is the deviation as a fraction of the period."""
    count = max(2, int(time_s[-1] * per_second))
    onsets = np.arange(count) + jitter * rng.uniform(-0.5, 0.5, count)
    return np.maximum(onsets / per_second, 0.0)


def modes(
    rng: Generator, time_s: np.ndarray, ratios: np.ndarray, f0_hz: float, decay_s: float
) -> np.ndarray:
    """Decaying partials of a struck body; higher ones decay faster."""
    ratios = ratios[ratios * f0_hz < 0.45 * rate_hz(time_s)]
    levels = rng.uniform(0.3, 1.0, len(ratios))[:, None]
    decays = np.exp(-time_s * ratios[:, None] ** 0.7 / decay_s)
    return (levels * decays * np.sin(TAU * f0_hz * ratios[:, None] * time_s)).sum(axis=0)


def _sweep(rng: Generator, time_s: np.ndarray, direction: int) -> np.ndarray:
    low_hz = log_uniform(rng, 200, 1500)
    high_hz = low_hz * log_uniform(rng, 1.3, 4.0)
    part = time_s / time_s[-1]
    part = part if direction > 0 else 1 - part
    wave = tone(low_hz * (high_hz / low_hz) ** part, time_s)
    return wave + rng.uniform(0, 0.4) * wave**3


def tone_sweep_up(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """A tone that rises by a third to two octaves."""
    return _sweep(rng, time_s, +1)


def tone_sweep_down(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """A tone that falls by a third to two octaves."""
    return _sweep(rng, time_s, -1)


def voice(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """A harmonic tone with vibrato and two formants."""
    f0_hz = log_uniform(rng, 90, 350)
    vibrato = 1 + rng.uniform(0.01, 0.06) * np.sin(TAU * rng.uniform(4, 8) * time_s)
    glide = 1 + rng.uniform(-0.2, 0.2) * time_s / time_s[-1]
    wave = harmonics(f0_hz * vibrato * glide, time_s, roll_off=0.9, count=24)
    spectrum = np.fft.rfft(wave)
    frequency_hz = np.fft.rfftfreq(len(wave), 1 / rate_hz(time_s))
    gain = 0.05
    for low_hz, high_hz in ((300, 900), (900, 2600)):
        center_hz = rng.uniform(low_hz, high_hz)
        gain = gain + np.exp(-(((frequency_hz - center_hz) / (0.15 * center_hz + 60)) ** 2))
    return np.fft.irfft(spectrum * gain, len(wave))


def click_train(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Short damped clicks at a steady pace."""
    f0_hz = log_uniform(rng, 600, 4000)
    onsets = regular(rng, time_s, log_uniform(rng, 4, 25), 0.1)
    decay_s = log_uniform(rng, 0.001, 0.006)
    levels = rng.uniform(0.6, 1.0, len(onsets))
    return hits(time_s, onsets, levels, lambda t, _: np.exp(-t / decay_s) * np.sin(TAU * f0_hz * t))


def noise_burst(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """One burst of broadband noise with a quick attack and a decay."""
    noise = colored_noise(rng, time_s, slope=rng.uniform(0, 1), low_hz=log_uniform(rng, 100, 1500))
    attack_s = log_uniform(rng, 0.003, 0.06)
    decay_s = log_uniform(rng, 0.06, 0.5)
    return noise * (1 - np.exp(-time_s / attack_s)) * np.exp(-time_s / decay_s)


def wind(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Low-frequency noise in slow gusts."""
    center_hz = log_uniform(rng, 150, 1200)
    noise = colored_noise(rng, time_s, slope=1.0, low_hz=0.6 * center_hz, high_hz=1.7 * center_hz)
    gusts = np.sin(TAU * rng.uniform(0.3, 2.0) * time_s + rng.uniform(0, TAU))
    return noise * (0.6 + 0.4 * gusts)


def bouncing_ball(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Impacts that follow each other ever faster and softer."""
    restitution = rng.uniform(0.6, 0.85)
    gaps = time_s[-1] * rng.uniform(0.25, 0.45) * restitution ** np.arange(14)
    onsets = np.concatenate([[0.0], np.cumsum(gaps)])
    f0_hz, decay_s = log_uniform(rng, 120, 900), log_uniform(rng, 0.008, 0.05)
    levels = restitution ** np.arange(len(onsets))
    return hits(time_s, onsets, levels, lambda t, _: np.exp(-t / decay_s) * np.sin(TAU * f0_hz * t))


def siren(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """A tone that wails up and down."""
    center_hz = log_uniform(rng, 350, 1500)
    wail = np.sin(TAU * log_uniform(rng, 0.8, 5.0) * time_s + rng.uniform(0, TAU))
    frequency_hz = center_hz * rng.uniform(1.15, 1.6) ** wail
    return harmonics(frequency_hz, time_s, roll_off=rng.uniform(0.1, 0.5), count=4)


def bell(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Frequency modulation with a decaying index (Chowning, 1973)."""
    carrier_hz = log_uniform(rng, 250, 1500)
    ratio = rng.choice([1.4, 1.41, 2.4, 3.5]) * rng.uniform(0.98, 1.02)
    decay_s = log_uniform(rng, 0.15, 0.9)
    index = rng.uniform(1, 5) * np.exp(-time_s / (0.6 * decay_s))
    modulator = index * np.sin(TAU * carrier_hz * ratio * time_s)
    return np.exp(-time_s / decay_s) * np.sin(TAU * carrier_hz * time_s + modulator)


def bird_chirps(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Short whistles that glide, a few in a row."""
    f0_hz, length_s = log_uniform(rng, 1500, 5000), rng.uniform(0.04, 0.18)
    bend = rng.uniform(-0.5, 0.5)
    onsets = regular(rng, time_s, log_uniform(rng, 2.5, 8), 0.3)

    def chirp(since_s: np.ndarray, _: int) -> np.ndarray:
        part = np.minimum(since_s / length_s, 1.0)
        return np.sin(np.pi * part) ** 2 * tone(f0_hz * (1 + bend * part), since_s)

    onsets = onsets[time_s[-1] - onsets > 0.01]
    return hits(time_s, onsets, rng.uniform(0.5, 1, len(onsets)), chirp)


def rain(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Crackle: many faint drops at random moments over a hiss."""
    drops = (rng.random(len(time_s)) < log_uniform(rng, 40, 400) / rate_hz(time_s)) * 1.0
    drops *= rng.exponential(1.0, len(time_s))
    decay_s = log_uniform(rng, 0.0005, 0.003)
    kernel = np.exp(-time_s[:256] / decay_s) * np.sin(
        TAU * log_uniform(rng, 1500, 5000) * time_s[:256]
    )
    hiss = colored_noise(rng, time_s, low_hz=1000)
    return np.convolve(drops, kernel)[: len(time_s)] + rng.uniform(0.02, 0.1) * hiss


def engine_hum(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """A low harmonic hum with rough strokes."""
    f0_hz = log_uniform(rng, 35, 130)
    drift = 1 + rng.uniform(-0.15, 0.15) * time_s / time_s[-1]
    wave = harmonics(f0_hz * drift, time_s, roll_off=rng.uniform(0.75, 0.92), count=20)
    strokes = 1 + rng.uniform(0.2, 0.8) * np.sin(TAU * f0_hz / 2 * time_s)
    return wave * strokes + rng.uniform(0.2, 1.0) * colored_noise(rng, time_s, high_hz=900)


def telephone(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Dialed digits, two tones each (ITU-T Q.23)."""
    length_s = rng.uniform(0.05, 0.16)
    onsets = regular(rng, time_s, rng.uniform(3, 6.5), 0.1)
    low_hz = rng.choice([697, 770, 852, 941], len(onsets))
    high_hz = rng.choice([1209, 1336, 1477, 1633], len(onsets))

    def digit(since_s: np.ndarray, number: int) -> np.ndarray:
        tones = np.sin(TAU * low_hz[number] * since_s) + np.sin(TAU * high_hz[number] * since_s)
        return (since_s < length_s) * tones

    return hits(time_s, onsets, np.ones(len(onsets)), digit)


def metallic_ring(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """A struck bar: the partials of a free beam, slightly detuned."""
    ratios = np.array([1.0, 2.756, 5.404, 8.933, 13.34]) * rng.uniform(0.97, 1.03, 5)
    return modes(rng, time_s, ratios, log_uniform(rng, 300, 1600), log_uniform(rng, 0.15, 1.0))


def water_drops(rng: Generator, time_s: np.ndarray) -> np.ndarray:
    """Bubbles: short tones that rise as they fade."""
    onsets = np.sort(rng.uniform(0, 0.9 * time_s[-1], rng.integers(2, 8)))
    f0_hz = np.array([log_uniform(rng, 400, 2200) for _ in onsets])
    decay_s, rise = log_uniform(rng, 0.015, 0.06), rng.uniform(2, 12)

    def drop(since_s: np.ndarray, number: int) -> np.ndarray:
        phase = f0_hz[number] * (since_s + rise * since_s**2 / 2)
        return np.exp(-since_s / decay_s) * np.sin(TAU * phase)

    return hits(time_s, onsets, rng.uniform(0.4, 1, len(onsets)), drop)


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
    """A sustained high hiss."""
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
    tone_sweep_up,
    tone_sweep_down,
    voice,
    click_train,
    noise_burst,
    wind,
    bouncing_ball,
    siren,
    bell,
    bird_chirps,
    rain,
    engine_hum,
    telephone,
    metallic_ring,
    water_drops,
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
