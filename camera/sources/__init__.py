"""Where frames come from: one small file for each kind."""
