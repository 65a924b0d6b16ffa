"""What people run in place of a converter: TFLiteConverter in five lines, int8.

Prints a JSON line: seconds of all and of the import, peak memory, bytes.
Arguments: SavedModel, folder of pictures, output.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

began = time.monotonic()
# Their import is a part of what is timed; the first imports TensorFlow as well.
import tensorflow as tf  # noqa: E402
from make_model import samples  # noqa: E402

imported = time.monotonic()

converter = tf.lite.TFLiteConverter.from_saved_model(sys.argv[1])
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: samples(Path(sys.argv[2]))
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = tf.uint8
converter.inference_output_type = tf.uint8
content = converter.convert()
Path(sys.argv[3]).write_bytes(content)
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
figures = {"s": time.monotonic() - began, "import_s": imported - began, "peak_mb": peak_mb}
print(json.dumps(figures | {"bytes": len(content)}))
