"""Selection on validation: epochs, averages of weights, candidates."""
