"""Keycloak's Admin API: the directory that the mirror follows, and the realm that `zhiku keycloak` keeps."""
