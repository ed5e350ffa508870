"""Front ends: from a waveform to features, batched on the device that trains."""
