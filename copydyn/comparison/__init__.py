"""The ruler: how far two results are apart (`compare`), and what a scenario claims of it (`claims`)."""
