"""What a decision costs, beside chains of empty Celery tasks: `python -m benchmarks`. See docs/benchmarks.md."""
