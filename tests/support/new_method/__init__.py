"""The method of docs/adding-a-method.md: the page shows these files, and test_new_method.py runs them."""
