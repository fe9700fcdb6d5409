"""The benefit of a teacher: the same students trained with and without one."""
