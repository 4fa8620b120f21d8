"""What the `cpo` command does, one module per subject; each is imported by the subcommand that needs it."""
