"""Attribute groups: how columns become latents, how latents become columns again."""
