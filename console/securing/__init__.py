"""Is this deployment closed to those who do not belong? What `throughline doctor --security` looks at."""
