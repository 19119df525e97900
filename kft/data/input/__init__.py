"""Files -> batches of a tf.data pipeline: decoding, kept pixels, order, augmentation, mixing."""
