"""The vocabulary of the project: settings, catalogs, jobs."""
