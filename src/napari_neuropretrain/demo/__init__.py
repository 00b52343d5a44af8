"""The whole way on synthetic scans, with a report."""
