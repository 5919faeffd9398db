"""Orders: placed at most once, resolved always, their fills booked. Knows the ports, and no exchange."""
