"""What the numbers of a study are; no sentences and no layout."""
