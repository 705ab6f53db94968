"""Recorded exchanges out of the store: as JSON lines, as a table, as Parquet; by hand or every night."""
