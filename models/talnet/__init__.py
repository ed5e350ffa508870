"""TALNet."""
