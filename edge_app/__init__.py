"""What runs a model on the device and serves it to people and machines."""
