"""Settings of those who watch: pulses, the watchdog, its alerts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from config.sections.base import Positive, Section


class WatchSettings(Section):
    """When silence is a finding. Ages in seconds."""

    enabled: bool = True
    look_every_s: Annotated[float, Field(ge=0.2, le=60)] = 5.0
    pulse_every_s: Annotated[float, Field(ge=0.2, le=60)] = 5.0
    heartbeat_every_s: Annotated[float, Field(ge=1)] = 30.0
    silent_after_s: Positive = 20.0
    hung_after_s: Positive = 15.0
    queue_oldest_max_s: Positive = 20.0
    handoff_after_s: Positive = 10.0
    silent_cadences: Annotated[float, Field(ge=1)] = 2.0
    signal_within_s: Annotated[float, Field(ge=0)] = 600.0
    clear_after_s: Annotated[float, Field(ge=0)] = 10.0


class AlertSettings(Section):
    """Who is told when a level is raised, and when it is over."""

    urls: SecretStr = SecretStr("")
    webhook_url: SecretStr = SecretStr("")
    least: Literal["notice", "warning", "critical"] = "warning"
    remind_every_s: Annotated[float, Field(ge=0)] = 3600.0
