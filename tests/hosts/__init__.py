"""Several hosts on one machine: each a network namespace with a name, an address and a clock of its own."""
