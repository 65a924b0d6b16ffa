"""What a PLC sees of the line."""
