"""The HTTP face of the app: one module per dialect."""
