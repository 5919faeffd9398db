"""Settings: typed, frozen, validated at the start. `load()` reads them, `Settings` is what they are."""
