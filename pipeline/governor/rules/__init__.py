"""The rules, one small pure function each. `pipeline.governor.checks.REGISTRY` lists them in their order."""
