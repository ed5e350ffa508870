"""Numbers of a study, without sentences or layout."""
