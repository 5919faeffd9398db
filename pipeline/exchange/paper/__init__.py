"""The paper broker: orders filled by us at an exchange's real public prices. No account, no key, no money."""
