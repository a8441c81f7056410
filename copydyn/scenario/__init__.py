"""From a TOML file to frozen objects: the only place where strings become objects."""
