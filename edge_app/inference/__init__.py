"""Running a model: knows no web, no camera and no database."""
