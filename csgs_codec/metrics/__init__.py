"""How alike two pictures, or two scenes seen from the same cameras, are."""
