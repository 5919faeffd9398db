"""What people use: the `throughline` command."""
