"""A folder of files; see `connector.py`."""
