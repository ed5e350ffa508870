"""The tables of a report, as values that every renderer lays out."""
