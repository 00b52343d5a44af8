"""A search for good settings of a fine-tuning, on the validation part."""
