"""Division into train, validation and holdout, by class, group, time, folds, or a file."""
