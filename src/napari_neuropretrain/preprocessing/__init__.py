"""From a raw T1 to the volume a network sees."""
