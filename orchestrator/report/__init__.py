"""Reports: a plan joined with its records, as a page, as tables and as text."""
