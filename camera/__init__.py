"""The line: camera in, verdict out, by the deadline."""
