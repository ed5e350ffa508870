"""A sweep as a value: factors, designs, contrasts, plans."""
