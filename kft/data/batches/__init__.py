"""Examples -> batches of a tf.data pipeline: order, kept examples, augmentation, mixing."""
