"""One module for each group of commands, thin: read the arguments, call, print."""
