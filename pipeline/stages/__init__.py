"""The story of a decision: opened, run through four stages, ended. Plain functions over the ports."""
