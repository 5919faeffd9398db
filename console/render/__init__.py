"""Drawing records for people: on a terminal in colour, in a pipe as plain text."""
