"""The scripts are run by tests, not imported."""

collect_ignore = ["scripts"]
