"""What was inspected: rows in SQLite, pictures on disk."""
