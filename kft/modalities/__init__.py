"""What an example is: its bytes, its decoder, its augmentation, and what the audit looks for."""
