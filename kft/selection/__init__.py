"""What is chosen on validation: epochs, averages of weights, candidates."""
