"""Models that come as Python packages, for machines that reach a package index but no model hub."""
