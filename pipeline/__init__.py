"""The trading pipeline: plain functions over frozen values. It has never heard of Celery."""
