"""Forms made from a job's settings."""
