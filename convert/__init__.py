"""Makes a TensorFlow model into one verified model file for the device."""
