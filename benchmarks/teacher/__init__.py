"""What a teacher is worth: the same students trained with and without one."""
