"""One id through everything: the decision's context, events, log files, Sentry, and the story read back."""
