"""Approvals: what takes more than one person."""
