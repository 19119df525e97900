"""What a source found -> what of it can be used, every file looked at once and accounted for."""
