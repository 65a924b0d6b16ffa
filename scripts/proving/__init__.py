"""What the converter promises, shown on real models and pictures."""
