"""The data sets that `bench data` knows by name, a TOML file each, and what brings some of them into a known layout."""
