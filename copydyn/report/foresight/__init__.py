"""What a scenario will do and cost, said before it runs."""
