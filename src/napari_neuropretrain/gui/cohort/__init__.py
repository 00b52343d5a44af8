"""The cohort panel: who is in a study, and what is wrong."""
