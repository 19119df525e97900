"""Any number of labels."""
