"""What can be done with a finished run or an export: predict, evaluate, export again."""
