"""Published checkpoint formats, a module each: from the authors' names to ours."""
