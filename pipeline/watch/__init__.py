"""Who watches: queues, liveness, levels, alerts and the doctor; what it cost, how fast it was, how it performed."""
