"""The rate budget: what the exchange allows to be asked, shared by every process of ours on every host."""
