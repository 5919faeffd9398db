"""The governor: looks at an intent and at the world, and gives a permit or a denial. Pure functions."""
