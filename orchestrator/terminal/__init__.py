"""What every command shows in a terminal: text made safe, tables, and long waits."""
