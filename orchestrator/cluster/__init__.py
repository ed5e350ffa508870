"""Cluster files: held against Ray's schema and our rules before `ray up` starts anything."""
