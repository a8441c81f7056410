"""What comes out: the Dataset that every theory gives, and what can be read off it."""
