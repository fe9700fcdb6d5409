"""Display on a terminal: tables, one job in full, progress bars, two jobs side by side."""
