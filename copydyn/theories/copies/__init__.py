"""Copy dynamics: its parameters, the ensemble, the rules of copying, and one way to run it for each engine."""
