"""A matrix of trainings, its tables, figures and report."""
