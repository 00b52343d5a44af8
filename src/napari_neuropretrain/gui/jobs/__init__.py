"""The dock widget of each job."""
