"""Who watches: queues, liveness, levels, alerts and the doctor."""
