"""Files to structured text. `parse` in `service.py` is the way in; see `child.py` for what runs where.

Nothing is imported here: the child sets its limits before any parser is loaded.
"""
