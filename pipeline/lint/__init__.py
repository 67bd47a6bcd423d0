"""What is doubtful in an entity list, before it costs anything: read findings.py, then check.py."""
