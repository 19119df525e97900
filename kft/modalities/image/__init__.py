"""Pictures: inspection and repair of files, the decoder in the graph, augmentation."""
