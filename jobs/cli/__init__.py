"""What commands share: parsers, exit codes, help, completion."""
