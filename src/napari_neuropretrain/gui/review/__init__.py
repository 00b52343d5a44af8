"""Looking through the quality of a cohort."""
