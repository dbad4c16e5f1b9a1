"""Playbooks: their schema, their expansion into plans, and the actions that carry the steps out."""
