"""What is said and drawn: tables, figures, and what is foreseen before a run."""
