"""Front ends: waveform to features, batched on the training device."""
